//! Files with ten times of what is sensible, as a program writes them that has gone wrong (O06).

use std::fmt::Write as _;

use expect_test::expect;

use crate::support::{check_brief, parse};

/// A file with so many services, each with an endpoint and each with a route, further routes, and further endpoints of the
/// first service.
fn file(services: usize, routes: usize, endpoints: usize) -> String {
    let mut file = String::new();
    for index in 0..routes {
        writeln!(file, "[[route]]\npath='/{index}'\nservice='s{}'", index % services).unwrap();
    }
    for service in 0..services {
        let listed = if service == 0 { endpoints - services + 1 } else { 1 };
        writeln!(file, "[service.s{service}]\nendpoints=[").unwrap();
        for index in 0..listed {
            writeln!(file, "{{address='127.0.{}.{}:{}'}},", index / 250, index % 250, service + 1).unwrap();
        }
        file.push_str("]\n");
    }
    file
}

#[test]
fn as_much_as_is_allowed_is_read() {
    let config = parse(&file(1000, 5000, 5000)).unwrap();
    assert_eq!((config.services.len(), config.routes.len()), (1000, 5000));
}

#[test]
fn one_too_many_of_a_kind_is_a_fault_where_it_stands() {
    let faults = [
        (
            file(1001, 5000, 5000),
            expect![[r#"
            23000:10 1001 services are too many
              write at most 1000 in one file
        "#]],
        ),
        (
            file(1000, 5001, 5000),
            expect![[r#"
            15001:1 5001 routes are too many
              write at most 5000 in one file
        "#]],
        ),
        (
            file(1000, 5000, 5001),
            expect![[r#"
            23000:1 5001 endpoints are too many
              write at most 5000 in one file
        "#]],
        ),
    ];
    for (file, expected) in faults {
        check_brief(&file, &expected);
    }
}

#[test]
fn ten_times_too_much_of_everything_is_a_fault_of_each_kind() {
    check_brief(
        &file(10_000, 10_000, 10_000),
        &expect![[r#"
        15001:1 10000 routes are too many
          write at most 5000 in one file
        34001:10 10000 services are too many
          write at most 1000 in one file
        50003:1 10000 endpoints are too many
          write at most 5000 in one file
    "#]],
    );
}
