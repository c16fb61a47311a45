//! `docs/configuration.md`, made of the schema: what it says of a key is what the raw structs say.
//!
//! To write it anew: `UPDATE_EXPECT=1 cargo test -p phalanx-config --test reference`

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, also in its helpers")]

use std::fmt::Write;

use expect_test::expect_file;
use phalanx_config::{BUILTIN, Config, schema};
use serde_json::Value;

/// Tables in the order in which a reader meets them.
const SECTIONS: [(&str, &str, &str); 6] = [
    ("[gateway]", "gateway", ""),
    ("[[route]]", "route", "/items"),
    ("[service.NAME]", "service", "/additionalProperties"),
    ("[auth]", "auth", ""),
    ("[admin]", "admin", ""),
    ("[log]", "log", ""),
];

const INTRODUCTION: &str = "\
# Configuration

<!-- Made of the doc comments in crates/config/src/raw by `UPDATE_EXPECT=1 cargo test -p phalanx-config --test reference`. -->

Phalanx reads one file, `phalanx.toml`, in [TOML](https://toml.io). `phalanx check` shows every fault in it at once;
`phalanx check --schema` prints its JSON Schema, for editors. Unknown keys are faults.

* **Durations** are whole numbers with a unit, `ms`, `s`, `m` or `h`, also several: `\"1h30m\"`. The longest is 30 days.
* **Addresses** are an IP address, or `localhost`, and a port: `\"10.0.1.10:3000\"`, `\"[::1]:3000\"`. Names are not resolved.
* **Networks** are an IP address and the length of a prefix, `\"10.0.0.0/8\"`; an address alone is a network of one.
* **Sizes** are whole numbers with a unit, `B`, `KB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`: `\"512MiB\"`. **Byte rates** are a
  size for each second: `\"16B/s\"`.
* **Cores** are an amount of CPU time: a number of cores, `1` or `\"0.5\"`, or thousandths of one, `\"500m\"`; a thousandth is the
  least.
* **Amounts** of replicas are a number, `2`, or a percentage of those that should be, `\"25%\"`.
* **Decimal numbers** can be written as whole ones: `1` is `1.0`.
* **DNS names** are labels of 1 to 63 letters, digits, `-` and `_`, with dots between them. One that ends with a dot is looked
  up as it is, without the search list of `/etc/resolv.conf`.
* **Paths** begin with `/` and are written as they are compared: without `//`, `.` or `..` segments, query or fragment, and
  percent-encoded, with digits in upper case, only where a character needs it.
* **Variables** of the environment can stand in every text, but not in names: `${VAR}`; `${VAR:-default}`, if it is not set or
  empty; `${VAR:?message}`, which is a fault then. `$$` is a dollar sign. They are put in after the file is parsed, so a
  value cannot add keys; and no message shows one.
  `$NAME` without braces stays as it is. `PORT` is another one for each replica, so it cannot be had here: a program
  that takes its port as an argument is wrapped, `command = [\"sh\", \"-c\", \"exec python3 -m http.server $PORT\"]`.
* A file has at most 1 MiB, with at most 1000 services, 5000 routes and 5000 `endpoints`, those of all services together.

## What a service sees

`Host` as the client sent it, and `X-Forwarded-For`, `X-Real-IP`, `X-Forwarded-Proto` and `X-Forwarded-Host` of the
connection to Phalanx; what a client sends of these, of `Forwarded`, and of `X-Auth-Subject`, `X-Auth-Roles` and
`X-Auth-Session`, is dropped, since anybody can write it. The latter three tell whom the token of a request belongs to, where its
route has `auth` ([the gateway](gateway.md#who-may-come)). `X-Request-Id` is kept if the client sent a sensible one, else made;
so is `traceparent` ([W3C Trace Context](https://www.w3.org/TR/trace-context/)), and `tracestate` goes with it or not at all.
Fields for one connection only and those with an underscore in their name are dropped.

A connection from `trusted_proxies` is one of a proxy: its `X-Forwarded-For` is read from the right, up to 50 entries, and the
first address that is no trusted proxy is the client. `X-Real-IP` and `ip_hash` go by that; the part from there on, with the
proxy itself behind it, is what a service gets. Its `X-Forwarded-Proto` and `X-Forwarded-Host` are kept.

`Upgrade`, as to a WebSocket, is asked for in an HTTP/1.1 request without a body whose `Connection` names it. After a 101 that
answers it both connections carry bytes, until both sides have ended; any other answer is an answer like all. `h2c` is never
asked for.

## Ways to balance

* `round_robin`: everyone in turn, a heavy endpoint spread out.
* `least_connections`: the fewest requests in flight for its weight, those of all workers counted; among equals in turn.
* `least_response_time`: shares by weight and measured speed. A slow endpoint gets little, and never nothing.
* `power_of_two`: of two at random the one with fewer requests in flight.
* `ip_hash`: the same client, by its address, to the same endpoint. When one goes, only its clients move.
* `consistent_hash`: the same `hash_key` to the same endpoint; one with more than 1.25 times its share in flight passes
  keys on.
* `random`: anyone.
";

#[test]
fn the_reference_is_up_to_date() {
    expect_file!["../../../docs/configuration.md"].assert_eq(&reference());
}

#[test]
fn every_table_has_a_section() {
    let schema = schema();
    let mut tables: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    tables.sort_by_key(|table| SECTIONS.iter().position(|(_, section, _)| section == table));
    assert_eq!(tables, SECTIONS.map(|(_, section, _)| section));
}

#[test]
fn the_examples_make_a_file_without_a_fault() {
    let reference = reference();
    let examples = reference.split("```toml\n").skip(1).map(|part| part.split("```").next().unwrap());
    // The first is a whole file, the others are its sections.
    let (whole, sections): (Vec<_>, Vec<_>) = examples.enumerate().partition(|(index, _)| *index == 0);
    assert_eq!(sections.len(), SECTIONS.len());
    for examples in [whole, sections] {
        let source: String = examples.into_iter().map(|(_, example)| example).collect();
        assert!(Config::parse("configuration.md", &source, &|_| None).is_ok(), "{source}");
    }
}

fn reference() -> String {
    let schema = schema();
    let mut page = format!("{INTRODUCTION}\n## A whole file\n\n```toml\n{BUILTIN}```\n");
    for (title, table, inside) in SECTIONS {
        let table = schema.pointer(&format!("/properties/{table}{inside}")).unwrap();
        write!(page, "\n## `{title}`\n\n{}\n\n", text(&table["description"])).unwrap();
        page.push_str("| key | takes | default | meaning |\n|---|---|---|---|\n");
        rows(&mut page, "", table);
    }
    page
}

/// A row for each key, and for each key of the tables among them.
fn rows(page: &mut String, prefix: &str, table: &Value) {
    for (name, schema) in table["properties"].as_object().unwrap() {
        let default = schema.get("default").map(|default| format!("`{}`", toml(default))).unwrap_or_default();
        let about = text(&schema["description"]).replace('\n', " ");
        writeln!(page, "| `{prefix}{name}` | {} | {default} | {about} |", takes(schema)).unwrap();
        if schema.get("properties").is_some() {
            rows(page, &format!("{prefix}{name}."), schema);
        } else if schema.pointer("/items/properties").is_some() {
            rows(page, &format!("{prefix}{name}[]."), &schema["items"]);
        }
    }
}

/// What a key takes, in words.
fn takes(schema: &Value) -> String {
    if schema["title"] == "cores" {
        return "cores".to_owned();
    }
    match (text(&schema["type"]), schema.get("title"), schema.get("enum")) {
        // Of a number or a text there is no one type.
        ("" | "string", Some(title), _) => text(title).to_owned(),
        ("string", None, Some(choices)) => {
            let choices: Vec<_> =
                choices.as_array().unwrap().iter().map(|choice| format!("`{choice}`")).collect();
            choices.join(", ")
        }
        ("string", None, None) => "text".to_owned(),
        ("integer", ..) => format!("{} to {}", schema["minimum"], schema["maximum"]),
        ("number", ..) => {
            let lowest = schema.get("exclusiveMinimum").map(|above| format!("above {}", number(above)));
            let lowest = lowest.unwrap_or_else(|| number(&schema["minimum"]));
            format!("{lowest} to {}", number(&schema["maximum"]))
        }
        ("boolean", ..) => "`true`, `false`".to_owned(),
        ("array", ..) => format!("list of {}", plural(&schema["items"])),
        ("object", ..) if schema.get("properties").is_some() => "table".to_owned(),
        ("object", ..) => format!("table of {}", plural(&schema["additionalProperties"])),
        (other, ..) => panic!("no words for {other}"),
    }
}

fn plural(schema: &Value) -> String {
    let one = takes(schema);
    if one.ends_with('s') { format!("{one}es") } else { format!("{one}s") }
}

/// A decimal number, without digits that say nothing.
fn number(value: &Value) -> String {
    value.as_f64().unwrap().to_string()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn toml(value: &Value) -> String {
    toml::Value::try_from(value).unwrap().to_string()
}
