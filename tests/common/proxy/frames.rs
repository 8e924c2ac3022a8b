//! Kafka's frames, as far as the proxy has to read them: request headers, who a transactional request speaks for, and the
//! error code of an answer. (Kafka protocol guide; KIP-482 for the compact encoding of "flexible" versions.)

use std::io::{self, Read};

/// API keys of the protocol.
pub mod api {
    pub const PRODUCE: i16 = 0;
    pub const METADATA: i16 = 3;
    pub const OFFSET_FETCH: i16 = 9;
    pub const FIND_COORDINATOR: i16 = 10;
    pub const JOIN_GROUP: i16 = 11;
    pub const INIT_PRODUCER_ID: i16 = 22;
    pub const ADD_PARTITIONS_TO_TXN: i16 = 24;
    pub const ADD_OFFSETS_TO_TXN: i16 = 25;
    pub const END_TXN: i16 = 26;
    pub const TXN_OFFSET_COMMIT: i16 = 28;
}

/// From this version on a request is flexible; `None` for requests that the proxy does not look into.
fn flexible_from(key: i16) -> Option<i16> {
    Some(match key {
        api::PRODUCE => 9,
        api::INIT_PRODUCER_ID => 2,
        api::ADD_PARTITIONS_TO_TXN | api::ADD_OFFSETS_TO_TXN | api::END_TXN | api::TXN_OFFSET_COMMIT => 3,
        _ => return None,
    })
}

/// One frame with its length in front; `None` at the end of the stream.
pub fn read_frame(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let size = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
    let mut frame = vec![0; 4 + size];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..])?;
    Ok(Some(frame))
}

/// What the proxy knows of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub key: i16,
    pub version: i16,
    pub correlation: i32,
    pub client: Option<String>,
    /// Of transactional requests only, as everything below.
    pub transactional_id: Option<String>,
    pub producer_id: Option<i64>,
    pub epoch: Option<i16>,
    /// `EndTxn`: a commit, or an abort.
    pub committed: Option<bool>,
    /// `TxnOffsetCommit` from version 3 on: where in the frame the generation of the group stands.
    pub generation_at: Option<usize>,
}

impl Request {
    /// Reads the header, and the beginning of the body where it names a transactional id.
    pub fn parse(frame: &[u8]) -> Option<Request> {
        let mut at = Cursor { bytes: frame, position: 4 };
        let mut request = Request {
            key: at.i16()?,
            version: at.i16()?,
            correlation: at.i32()?,
            client: at.string(false)?,
            ..Request::default()
        };
        let Some(from) = flexible_from(request.key) else { return Some(request) };
        let flexible = request.version >= from;
        if flexible {
            at.tags()?;
        }
        match request.key {
            api::PRODUCE if request.version < 3 => {}
            api::INIT_PRODUCER_ID | api::PRODUCE => request.transactional_id = at.string(flexible)?,
            _ => {
                request.transactional_id = at.string(flexible)?;
                if request.key == api::TXN_OFFSET_COMMIT {
                    at.string(flexible)?;
                }
                request.producer_id = Some(at.i64()?);
                request.epoch = Some(at.i16()?);
                match request.key {
                    api::END_TXN => request.committed = Some(at.i8()? != 0),
                    api::TXN_OFFSET_COMMIT if flexible => request.generation_at = Some(at.position),
                    _ => {}
                }
            }
        }
        Some(request)
    }
}

/// The error code in the answer to `request`; of several partitions the first.
pub fn error_code(request: &Request, frame: &[u8]) -> Option<i16> {
    let flexible = request.version >= flexible_from(request.key)?;
    let mut at = Cursor { bytes: frame, position: 8 };
    if flexible {
        at.tags()?;
    }
    at.i32()?;
    if request.key == api::TXN_OFFSET_COMMIT {
        at.length(flexible)?;
        at.string(flexible)?;
        at.length(flexible)?;
        at.i32()?;
    }
    at.i16()
}

/// Replaces every `127.0.0.1:from` in an answer by `127.0.0.1:to`: the length of nothing changes.
pub fn readvertise(frame: &mut [u8], from: u16, to: u16) {
    let host = b"127.0.0.1";
    let pattern = [host.as_slice(), &u32::from(from).to_be_bytes()].concat();
    for start in 0..frame.len().saturating_sub(pattern.len() - 1) {
        if frame[start..].starts_with(&pattern) {
            let port = start + host.len();
            frame[port..port + 4].copy_from_slice(&u32::from(to).to_be_bytes());
        }
    }
}

/// Reads the protocol's primitive types; `None` beyond the end.
struct Cursor<'f> {
    bytes: &'f [u8],
    position: usize,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.bytes.get(self.position..self.position + N)?;
        self.position += N;
        bytes.try_into().ok()
    }

    fn i8(&mut self) -> Option<i8> {
        self.take().map(i8::from_be_bytes)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn uvarint(&mut self) -> Option<usize> {
        let (mut value, mut shift) = (0usize, 0);
        loop {
            let [byte] = self.take()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    /// An array's length.
    fn length(&mut self, flexible: bool) -> Option<usize> {
        if flexible { self.uvarint()?.checked_sub(1) } else { usize::try_from(self.i32()?).ok() }
    }

    /// The outer option is about the frame's end, the inner one about null.
    fn string(&mut self, flexible: bool) -> Option<Option<String>> {
        let length =
            if flexible { self.uvarint()?.checked_sub(1) } else { usize::try_from(self.i16()?).ok() };
        let Some(length) = length else { return Some(None) };
        let bytes = self.bytes.get(self.position..self.position + length)?;
        self.position += length;
        Some(Some(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn tags(&mut self) -> Option<()> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let length = self.uvarint()?;
            self.position += length;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        [&u32::try_from(body.len()).unwrap().to_be_bytes(), body.as_slice()].concat()
    }

    #[test]
    fn requests_of_both_encodings_are_read() {
        let end = frame(&[
            &[0, 26, 0, 1, 0, 0, 0, 9, 0, 1, b'c', 0, 2, b'i', b'd'],
            &7i64.to_be_bytes(),
            &[0, 3, 1],
        ]);
        let read = Request::parse(&end).unwrap();
        assert_eq!((read.key, read.version, read.correlation), (api::END_TXN, 1, 9));
        assert_eq!((read.client.as_deref(), read.transactional_id.as_deref()), (Some("c"), Some("id")));
        assert_eq!((read.producer_id, read.epoch, read.committed), (Some(7), Some(3), Some(true)));

        let offsets = frame(&[
            &[0, 28, 0, 3, 0, 0, 0, 9, 0, 1, b'c', 0, 3, b'i', b'd', 2, b'g'],
            &7i64.to_be_bytes(),
            &[0, 3, 0, 0, 0, 5],
        ]);
        let read = Request::parse(&offsets).unwrap();
        assert_eq!((read.transactional_id.as_deref(), read.epoch), (Some("id"), Some(3)));
        assert_eq!(offsets[read.generation_at.unwrap()..], [0, 0, 0, 5]);
    }

    #[test]
    fn error_codes_are_found_and_ports_replaced() {
        let offsets = Request { key: api::TXN_OFFSET_COMMIT, version: 3, ..Request::default() };
        let answer = frame(&[&[0, 0, 0, 9, 0], &[0; 4], &[2, 2, b't', 2], &[0, 0, 0, 1], &[0, 22, 0, 0, 0]]);
        assert_eq!(error_code(&offsets, &answer), Some(22));
        let mut answer = frame(&[b"..127.0.0.1", &9092u32.to_be_bytes(), b".."]);
        readvertise(&mut answer, 9092, 1234);
        assert_eq!(answer, frame(&[b"..127.0.0.1", &1234u32.to_be_bytes(), b".."]));
    }
}
