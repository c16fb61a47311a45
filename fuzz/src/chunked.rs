use phalanx_http1::chunked::{self, Decoder, Event};

use super::naive::{self, Outcome};

/// A body decodes as a naive reader decodes it, however it arrives, and what is written of it reads the same again.
pub fn chunked(bytes: &[u8]) {
    for steps in [[usize::MAX, 1], [1, 1], [2, 7]] {
        chunked_in_steps(bytes, &steps);
    }
}

/// The same for bytes that arrive in the given steps, over and over.
pub fn chunked_in_steps(bytes: &[u8], steps: &[usize]) {
    let mut decoder = Decoder::new();
    let mut data = Vec::new();
    let outcome = decode(&mut decoder, bytes, steps, &mut data);
    let expected = naive::chunked(bytes);
    assert_eq!(
        (&data, outcome),
        (&expected.0, expected.1),
        "in steps of {steps:?}: {}",
        bytes.escape_ascii()
    );
    if let Outcome::End(_) = outcome {
        is_written_anew(&decoder, &data);
    }
}

fn decode(decoder: &mut Decoder, bytes: &[u8], steps: &[usize], data: &mut Vec<u8>) -> Outcome {
    let mut position = 0;
    let mut arrived = 0_usize;
    for step in steps.iter().cycle() {
        arrived = arrived.saturating_add((*step).max(1)).min(bytes.len());
        while position < arrived {
            let rest = &bytes[position..arrived];
            position += match decoder.next(rest) {
                Ok(Event::Framing { consumed }) => consumed,
                Ok(Event::Data { consumed }) => {
                    data.extend_from_slice(&rest[..consumed]);
                    consumed
                }
                Ok(Event::End { consumed }) => return Outcome::End(position + consumed),
                Err(_) => return Outcome::Fault,
            };
        }
        if arrived == bytes.len() {
            break;
        }
    }
    Outcome::Incomplete
}

fn is_written_anew(decoder: &Decoder, data: &[u8]) {
    let mut out = Vec::new();
    for chunk in data.chunks(7) {
        chunked::write_size(chunk.len(), &mut out);
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    let framing_bytes = out.len();
    if decoder.write_end(&mut out).is_err() {
        assert_eq!(out.len(), framing_bytes, "an end that cannot be written leaves nothing behind");
        out.extend_from_slice(chunked::END);
    }
    let expected = Outcome::End(out.len());
    assert_eq!(naive::chunked(&out), (data.to_vec(), expected), "{}", out.escape_ascii());
    let trailers = &out[framing_bytes + "0\r\n".len()..];
    if trailers != b"\r\n" {
        let head = naive::Head::read(&[b"\r\n", trailers].concat());
        for name in ["content-length", "transfer-encoding", "host", "authorization", "x-forwarded-for"] {
            assert!(head.values(name).is_empty(), "{name} in trailers");
        }
    }
}
