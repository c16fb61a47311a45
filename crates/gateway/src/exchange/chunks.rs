//! Chunked bodies on their way through: decoded, and written in chunks of the gateway's own or without any.

use phalanx_http1::chunked::{self, ChunkFault, Decoder, Event};

use crate::worker::Inbox;

/// Appends to `out`, in chunks, what `input` holds of a chunked body; whether the body is complete.
pub(super) fn rechunk(
    decoder: &mut Decoder,
    input: &mut Inbox,
    out: &mut Vec<u8>,
) -> Result<bool, ChunkFault> {
    let is_complete = decode(decoder, input, |data| write_chunk(data, out))?;
    if is_complete {
        decoder.write_end(out)?;
    }
    Ok(is_complete)
}

/// Appends to `out` the data that `input` holds of a chunked body; whether the body is complete.
pub(super) fn unchunk(
    decoder: &mut Decoder,
    input: &mut Inbox,
    out: &mut Vec<u8>,
) -> Result<bool, ChunkFault> {
    decode(decoder, input, |data| out.extend_from_slice(data))
}

fn decode(decoder: &mut Decoder, input: &mut Inbox, mut take: impl FnMut(&[u8])) -> Result<bool, ChunkFault> {
    loop {
        match decoder.next(input.filled())? {
            Event::Framing { consumed: 0 } => return Ok(false),
            Event::Framing { consumed } => input.consume(consumed),
            Event::Data { consumed } => {
                take(&input.filled()[..consumed]);
                input.consume(consumed);
            }
            Event::End { consumed } => {
                input.consume(consumed);
                return Ok(true);
            }
        }
    }
}

/// Appends one chunk with `data`, which is not empty.
pub(super) fn write_chunk(data: &[u8], out: &mut Vec<u8>) {
    chunked::write_size(data.len(), out);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}
