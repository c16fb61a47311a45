//! `resources` of a service, and `cpu` and `memory` of its `limits`.

use expect_test::{Expect, expect};

use crate::support::{check_brief, check_service};

fn check_replicas(keys: &str, faults: &Expect) {
    check_brief(&format!("[service.api]\ncommand = [\"server\"]\n{keys}"), faults);
}

#[test]
fn amounts() {
    for keys in [
        "resources = {}\nlimits = {}",
        "resources = { cpu = \"500m\", memory = \"512MiB\" }\nlimits = { cpu = \"1\", memory = \"1GiB\" }",
        "resources = { cpu = 0.5 }\nlimits = { cpu = 1 }",
        "resources = { cpu = \"0.5\" }\nlimits = { cpu = 0.500, connections = 10 }",
    ] {
        check_replicas(
            keys,
            &expect![[r#"
            no fault
        "#]],
        );
    }
    check_replicas(
        r#"resources = { cpu = "0", memory = "0B" }
limits = { cpu = 0.0001, memory = 512 }"#,
        &expect![[r#"
            3:21 "0" is no CPU at all
              "1m", a thousandth of a core, is the least
            3:35 "0B" is no memory at all
              write a size above zero
            4:18 0.0001 is finer than a thousandth of a core
              write at most three decimal places, or whole thousandths, as "500m"
            4:35 `memory` takes a size, not a whole number
              add the unit: `memory = "512B"`
        "#]],
    );
    check_replicas(
        r#"resources = { cpu = 0x10, memory = "1TiB" }
limits = { cpu = true, memory = "much" }"#,
        &expect![[r#"
            3:21 `cpu` takes an amount of CPU, not a whole number
              for example `cpu = "500m"`
            3:36 "1TiB" is not a size
              write a whole number and its unit, one of B, KB, KiB, MB, MiB, GB, GiB, as "512MiB" or "10KB"
            4:18 `cpu` takes an amount of CPU, not true or false
              for example `cpu = "1500m"`
            4:33 "much" is not a size
              write a whole number and its unit, one of B, KB, KiB, MB, MiB, GB, GiB, as "512MiB" or "10KB"
        "#]],
    );
    check_replicas(
        r#"resources = { cpu = -1, cpus = 1 }
limits = { cpu = inf }"#,
        &expect![[r#"
            3:21 -1 is not an amount of CPU
              write cores, as "1" or "0.5", or thousandths of a core, as "500m"
            3:25 unknown key `cpus` in `service.api.resources`
              did you mean `cpu`?
            4:18 inf is not an amount of CPU
              write cores, as "1" or "0.5", or thousandths of a core, as "500m"
        "#]],
    );
    check_replicas(
        "resources = \"500m\"",
        &expect![[r#"
        3:13 `resources` takes a table, not text
          for example `resources = { cpu = "500m", memory = "512MiB" }`
    "#]],
    );
}

#[test]
fn a_limit_is_no_lower_than_what_is_expected() {
    check_replicas(
        r#"resources = { cpu = "750m", memory = "1GiB" }
limits = { cpu = 0.5, memory = "1GB" }"#,
        &expect![[r#"
            4:18 `cpu` of `limits`, which is 0.5, is below that of `resources`, which is "750m"
              raise the limit, or lower what is expected
            4:32 `memory` of `limits`, which is "1GB", is below that of `resources`, which is "1GiB"
              raise the limit, or lower what is expected
        "#]],
    );
}

#[test]
fn endpoints_that_run_elsewhere_are_not_limited() {
    check_service(
        r#"resources = { cpu = 1 }
limits = { connections = 5, cpu = 1, memory = "1GiB" }"#,
        &expect![[r#"
            3:13 `resources` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            4:35 `cpu` of `limits` has no effect without `command`
              remove it: Phalanx does not run these endpoints
            4:47 `memory` of `limits` has no effect without `command`
              remove it: Phalanx does not run these endpoints
        "#]],
    );
}
