use std::fmt::Write as _;

use tokio::{io::AsyncWriteExt, sync::mpsc, time::timeout};

use super::*;
use crate::output::{OutputLine, OutputRecord, sink::Outputs};

/// Everything that became of what was printed.
struct Passed {
    lines: Vec<String>,
    last_lines: Vec<String>,
    records: Vec<OutputRecord>,
    dropped: u64,
}

async fn pumped(printed: &[u8]) -> Passed {
    // Room for everything: what a terminal does not take is another matter.
    let (sender, mut receiver) = mpsc::channel::<OutputLine>(100_000);
    let (outputs, last_lines) = (Outputs::new(sender), LastLines::default());
    let instance = "api-1".into();
    let sink = outputs.sink(&instance);
    pump(printed, OutputStream::Stdout, Arc::clone(&sink), last_lines.clone()).await;
    let mut lines = Vec::new();
    while let Ok(line) = receiver.try_recv() {
        assert_eq!(line.instance.as_ref(), Some(&instance));
        lines.push(line.text);
    }
    let (records, dropped) = (outputs.records("api-1"), outputs.dropped_lines("api-1"));
    Passed { lines, last_lines: last_lines.snapshot(), records, dropped }
}

#[tokio::test]
async fn lines_come_out_as_they_were_printed() {
    for (printed, lines) in [
        (&b"one\ntwo\r\n\nlast without end"[..], vec!["one", "two", "", "last without end"]),
        (b"caf\xc3\xa9 \xff\xfe\n", vec!["caf\u{e9} \u{fffd}\u{fffd}"]),
        (b"", vec![]),
    ] {
        assert_eq!(pumped(printed).await.lines, lines);
    }
}

#[tokio::test]
async fn a_line_without_end_is_cut_between_characters() {
    let printed = "\u{20ac}".repeat(LINE_BYTES_MAX);
    let lines = pumped(printed.as_bytes()).await.lines;
    assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX), "{:?}", lines.iter().map(String::len));
    assert_eq!(lines.concat(), printed);
}

#[tokio::test]
async fn only_the_last_lines_are_kept_and_each_is_bounded() {
    let printed: String = (0..50).map(|n| format!("{n} {}\n", "x".repeat(1000))).collect();
    let passed = pumped(printed.as_bytes()).await;
    let kept = passed.last_lines;
    assert_eq!(kept.len(), 20);
    assert!(kept[0].starts_with("30 ") && kept[19].starts_with("49 "), "{kept:?}");
    assert!(kept.iter().all(|line| line.len() == 400));
    assert_eq!(passed.records.len(), 50);
    assert_eq!(passed.records[0].stream, OutputStream::Stdout);
}

#[tokio::test]
async fn a_flood_is_cut_counted_and_its_end_is_kept() {
    let printed = (0..50_000).fold(String::new(), |mut printed, n| {
        writeln!(printed, "line {n}").unwrap();
        printed
    });
    let passed = pumped(format!("{printed}panicked at the end\n").as_bytes()).await;
    assert!((2000..10_000).contains(&passed.lines.len()), "{} lines were taken", passed.lines.len());
    let told: Vec<_> = passed.lines.iter().filter(|line| line.contains("lines were dropped")).collect();
    assert!(!told.is_empty());
    assert_eq!(passed.lines.last().unwrap(), "panicked at the end");
    assert_eq!(passed.last_lines.last().unwrap(), "panicked at the end");
    // Every line was taken or is counted.
    assert_eq!((passed.lines.len() - told.len()) as u64 + passed.dropped, 50_001);
    let counts = told.iter().map(|line| line[1..].split(' ').next().unwrap().parse::<u64>().unwrap());
    assert_eq!(counts.sum::<u64>(), passed.dropped);
    let whole = |line: &String| line.starts_with("line ") || line.starts_with(['(', 'p']);
    assert!(passed.lines.iter().all(whole), "a line begins in its middle");
}

#[tokio::test]
async fn a_last_line_without_end_is_kept_and_not_counted_as_dropped() {
    let passed = pumped(format!("{}last words", "flood\n".repeat(5_000)).as_bytes()).await;
    let told = passed.lines.iter().filter(|line| line.contains("lines were dropped")).count();
    assert!(told > 0);
    assert_eq!(passed.lines.last().unwrap(), "last words");
    assert_eq!((passed.lines.len() - told) as u64 + passed.dropped, 5_001);
}

#[tokio::test]
async fn a_flood_that_ends_within_a_line_takes_the_line_along() {
    let (sender, mut receiver) = mpsc::channel::<OutputLine>(100_000);
    let outputs = Outputs::new(sender);
    let sink = outputs.sink(&"api-1".into());
    let (mut program, printed) = tokio::io::duplex(64);
    let print = async {
        program.write_all(format!("{}torn", "flood\n".repeat(5_000)).as_bytes()).await.unwrap();
        while outputs.dropped_lines("api-1") == 0 {
            tokio::task::yield_now().await;
        }
        program.write_all(b" rest\nnext\n").await.unwrap();
        drop(program);
    };
    let pumped = pump(printed, OutputStream::Stdout, Arc::clone(&sink), LastLines::default());
    tokio::join!(print, pumped);
    let mut lines = Vec::new();
    while let Ok(line) = receiver.try_recv() {
        lines.push(line.text);
    }
    assert_eq!(lines.last().unwrap(), "next");
    let told = lines.iter().filter(|line| line.contains("lines were dropped")).count();
    assert_eq!(lines.iter().filter(|line| *line == "flood").count(), lines.len() - told - 1, "{lines:?}");
    assert_eq!((lines.len() - told) as u64 + outputs.dropped_lines("api-1"), 5_002);
}

#[tokio::test(start_paused = true)]
async fn a_terminal_that_stands_still_is_waited_for_once() {
    let (sender, mut receiver) = mpsc::channel::<OutputLine>(2);
    let outputs = Outputs::new(sender);
    let sink = outputs.sink(&"api-1".into());
    let printed = "line\n".repeat(10);
    let pumped = pump(printed.as_bytes(), OutputStream::Stderr, Arc::clone(&sink), LastLines::default());
    timeout(Duration::from_millis(1500), pumped).await.expect("a second line is waited for");
    assert_eq!(outputs.dropped_lines("api-1"), 8);
    assert_eq!(outputs.records("api-1").len(), 10, "what the terminal does not take is remembered");

    receiver.recv().await.unwrap();
    receiver.recv().await.unwrap();
    drop(sink);
    assert_eq!(outputs.records("api-1"), [], "what is remembered goes with the replica");
}
