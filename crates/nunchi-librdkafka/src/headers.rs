//! Headers whose names are bytes.
//!
//! In Kafka's protocol a header's name is a string (KIP-82), but nobody checks it: brokers and Java's producer pass on
//! whatever a client wrote. rdkafka's `Headers` panics where a name is not UTF-8; this module reads such names, and
//! writes them.
//!
//! librdkafka returns a name as a C string. A name with a NUL in it is therefore seen only up to there;
//! [`RawHeaders::without`] passes such headers on whole all the same, because librdkafka copies them itself.

use crate::{Error, ResponseError};
use rdkafka::bindings::{
    rd_kafka_header_add, rd_kafka_header_cnt, rd_kafka_header_get_all, rd_kafka_header_remove,
    rd_kafka_headers_t, rd_kafka_message_headers, rd_kafka_resp_err_t,
};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Message, OwnedHeaders};
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::{ptr, slice};

use rd_kafka_resp_err_t::{RD_KAFKA_RESP_ERR__NOENT, RD_KAFKA_RESP_ERR_NO_ERROR};

/// Up to so many different names [`RawHeaders::without`] removes one by one, each by a search of its own; more would be
/// quadratic, and a record may have 100,000 headers.
const MAX_REMOVED: usize = 16;

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawHeader<'h> {
    /// Its name, up to the first NUL.
    pub name: &'h [u8],
    /// Its value; `None` is Kafka's null, which differs from an empty value.
    pub value: Option<&'h [u8]>,
}

/// The headers of a record, to be read.
#[derive(Clone, Copy)]
pub struct RawHeaders<'h> {
    /// Null: there are no headers.
    native: *const rd_kafka_headers_t,
    owner: PhantomData<&'h OwnedHeaders>,
}

impl<'h> RawHeaders<'h> {
    /// The headers of a message.
    ///
    /// The first call on a consumed message parses them, the following ones are cheap. Wraps `rd_kafka_message_headers`.
    ///
    /// # Errors
    /// librdkafka cannot parse them: they are broken, or more than 100,000.
    pub fn of_message(message: &'h BorrowedMessage<'_>) -> Result<Self, Error> {
        if let Some(headers) = message.headers() {
            return Ok(RawHeaders { native: native(headers), owner: PhantomData });
        }
        // rdkafka's `None` is "there are none" and "they are unreadable". In both cases librdkafka keeps nothing of what it
        // parsed, so that this second call changes nothing either.
        let mut headers = ptr::null_mut();
        // SAFETY: the message lives as long as it is borrowed, and the pointer to write is ours.
        match unsafe { rd_kafka_message_headers(message.ptr(), &raw mut headers) } {
            RD_KAFKA_RESP_ERR_NO_ERROR | RD_KAFKA_RESP_ERR__NOENT => {
                Ok(RawHeaders { native: headers, owner: PhantomData })
            }
            code => {
                let response = ResponseError::new(code, "the record's headers cannot be read");
                Err(Error::Response { call: "message_headers", response })
            }
        }
    }

    /// The headers of a list that is owned.
    pub fn of_owned(headers: &'h OwnedHeaders) -> Self {
        RawHeaders { native: native(headers.as_borrowed()), owner: PhantomData }
    }

    /// How many there are. Wraps `rd_kafka_header_cnt`.
    pub fn len(&self) -> usize {
        if self.native.is_null() {
            return 0;
        }
        // SAFETY: not null, and it lives as long as its owner is borrowed.
        unsafe { rd_kafka_header_cnt(self.native) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all names and values, without what the protocol adds to each. A walk over the headers that copies nothing.
    pub fn bytes(&self) -> usize {
        self.iter().map(|header| header.name.len() + header.value.map_or(0, <[u8]>::len)).sum()
    }

    /// All headers in their order. Wraps `rd_kafka_header_get_all`.
    pub fn iter(&self) -> RawHeadersIter<'h> {
        RawHeadersIter { headers: *self, next: 0, end: self.len() }
    }

    /// The header at `index`, its name as a C string.
    fn get(&self, index: usize) -> Option<(&'h CStr, Option<&'h [u8]>)> {
        if self.native.is_null() {
            return None;
        }
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: not null, and it lives as long as its owner is borrowed; the pointers to write are ours.
        let code = unsafe {
            rd_kafka_header_get_all(self.native, index, &raw mut name, &raw mut value, &raw mut size)
        };
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: librdkafka ends every name with NUL; name and value live as long as the headers do. The value is null, or
        // `size` bytes stand there.
        unsafe {
            let value = (!value.is_null()).then(|| slice::from_raw_parts(value.cast::<u8>(), size));
            Some((CStr::from_ptr(name), value))
        }
    }

    /// A copy without the headers whose names `dropped` names, in their order, with room for `more` headers where nothing
    /// is copied.
    ///
    /// Headers that stay are copied by librdkafka (`rd_kafka_headers_copy`, `rd_kafka_header_remove`), byte for byte.
    /// Only where more than 16 different names are to be dropped they are added one by one, and a name with a NUL ends there.
    pub fn without(&self, dropped: impl Fn(&[u8]) -> bool, more: usize) -> HeadersBuilder {
        let mut names: Vec<&CStr> = Vec::new();
        let (mut kept, mut bytes) = (0, 0);
        for (name, value) in (0..self.len()).filter_map(|index| self.get(index)) {
            if !dropped(name.to_bytes()) {
                kept += 1;
                bytes += name.count_bytes() + value.map_or(0, <[u8]>::len);
            } else if !names.contains(&name) {
                names.push(name);
                if names.len() > MAX_REMOVED {
                    return self.rebuilt_without(dropped, more);
                }
            }
        }
        if kept == 0 {
            return HeadersBuilder::with_capacity(more);
        }
        let headers = self.detach();
        for name in names {
            // SAFETY: the list is the copy, which has no other reference; librdkafka only compares the name.
            unsafe { rd_kafka_header_remove(native(headers.as_borrowed()).cast_mut(), name.as_ptr()) };
        }
        HeadersBuilder { headers, bytes }
    }

    fn rebuilt_without(&self, dropped: impl Fn(&[u8]) -> bool, more: usize) -> HeadersBuilder {
        let mut built = HeadersBuilder::with_capacity(self.len() + more);
        for RawHeader { name, value } in self.iter().filter(|header| !dropped(header.name)) {
            built.add(name, value);
        }
        built
    }

    /// A copy of all headers.
    fn detach(&self) -> OwnedHeaders {
        if self.native.is_null() {
            return OwnedHeaders::new();
        }
        // SAFETY: this is how rdkafka makes a `BorrowedHeaders` of the same pointer (see `native`), which is not null and
        // lives as long as its owner is borrowed.
        let headers: &BorrowedHeaders = unsafe { &*self.native.cast() };
        headers.detach()
    }
}

impl std::fmt::Debug for RawHeaders<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'h> IntoIterator for RawHeaders<'h> {
    type Item = RawHeader<'h>;
    type IntoIter = RawHeadersIter<'h>;

    fn into_iter(self) -> RawHeadersIter<'h> {
        self.iter()
    }
}

/// Iterator over the headers of a record.
#[derive(Clone, Debug)]
pub struct RawHeadersIter<'h> {
    headers: RawHeaders<'h>,
    next: usize,
    end: usize,
}

impl<'h> Iterator for RawHeadersIter<'h> {
    type Item = RawHeader<'h>;

    fn next(&mut self) -> Option<RawHeader<'h>> {
        let (name, value) = (self.next < self.end).then(|| self.headers.get(self.next)).flatten()?;
        self.next += 1;
        Some(RawHeader { name: name.to_bytes(), value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.next, Some(self.end - self.next))
    }
}

impl ExactSizeIterator for RawHeadersIter<'_> {}

/// Headers under construction, with names of any bytes.
#[derive(Debug)]
pub struct HeadersBuilder {
    headers: OwnedHeaders,
    bytes: usize,
}

impl HeadersBuilder {
    /// None yet, with room for `capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        HeadersBuilder { headers: OwnedHeaders::new_with_capacity(capacity), bytes: 0 }
    }

    /// Adds a header at the end. `None` is Kafka's null.
    ///
    /// Wraps `rd_kafka_header_add`. rdkafka's `OwnedHeaders::insert` takes names of UTF-8 only.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: Option<&[u8]>) {
        let name = name.as_ref();
        let (content, size) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
        // SAFETY: the list is our own, borrowed mutably. librdkafka copies `name.len()` and `size` bytes; a slice is never
        // longer than `isize::MAX`, so that neither length becomes its -1 ("ends with NUL").
        let code = unsafe {
            rd_kafka_header_add(
                native(self.headers.as_borrowed()).cast_mut(),
                name.as_ptr().cast::<c_char>(),
                name.len() as isize,
                content.cast::<c_void>(),
                size as isize,
            )
        };
        assert_eq!(
            code, RD_KAFKA_RESP_ERR_NO_ERROR,
            "only headers of others are read-only, and these are ours"
        );
        self.bytes += name.len() + size;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Bytes of all names and values, without what the protocol adds to each.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was added.
    pub fn read(&self) -> RawHeaders<'_> {
        RawHeaders::of_owned(&self.headers)
    }

    /// The headers, for `BaseRecord::headers`.
    pub fn build(self) -> OwnedHeaders {
        self.headers
    }
}

/// rdkafka keeps `OwnedHeaders`' pointer private, but lends out `BorrowedHeaders`: a type without content, whose reference
/// *is* librdkafka's pointer (rdkafka 0.39, `BorrowedHeaders::as_native_ptr`; the tests would notice a change). Private,
/// because anybody can make a `BorrowedHeaders` that belongs to nothing.
fn native(headers: &BorrowedHeaders) -> *const rd_kafka_headers_t {
    ptr::from_ref(headers).cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::{Header, Headers};

    type Plain = Vec<(Vec<u8>, Option<Vec<u8>>)>;

    fn plain(headers: RawHeaders<'_>) -> Plain {
        headers.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect()
    }

    fn built(headers: &[(&[u8], Option<&[u8]>)]) -> HeadersBuilder {
        let mut builder = HeadersBuilder::with_capacity(0);
        for (name, value) in headers {
            builder.add(name, *value);
        }
        builder
    }

    fn forged(name: &[u8]) -> bool {
        name.starts_with(b"nunchi-")
    }

    #[test]
    fn any_bytes_are_a_name_and_the_order_stays() {
        let headers: [(&[u8], Option<&[u8]>); 5] = [
            (b"\xff\xfe", Some(b"\0\xff")),
            (b"", Some(b"")),
            (b"b", None),
            (b"a", Some(b"1")),
            (b"b", None),
        ];
        let builder = built(&headers);
        assert_eq!((builder.len(), builder.bytes()), (5, 8));
        let owned = builder.build();
        let read = RawHeaders::of_owned(&owned);
        let expected: Plain =
            headers.iter().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect();
        assert_eq!(plain(read), expected);
        assert_eq!((read.len(), read.bytes(), read.iter().len()), (5, 8, 5));
    }

    #[test]
    fn rdkafka_reads_what_is_built_here_and_the_other_way_round() {
        let owned = built(&[(b"a", Some(b"1")), (b"b", None)]).build();
        assert_eq!(owned.get(0), Header { key: "a", value: Some(&b"1"[..]) });
        assert_eq!(owned.get(1), Header { key: "b", value: None });
        let owned = OwnedHeaders::new().insert(Header { key: "c", value: Some("2") });
        assert_eq!(plain(RawHeaders::of_owned(&owned)), [(b"c".to_vec(), Some(b"2".to_vec()))]);
    }

    #[test]
    fn what_is_dropped_is_gone_and_the_rest_is_as_it_was() {
        let original = built(&[
            (b"nunchi-model", Some(b"forged")),
            (b"\xff", Some(b"1")),
            (b"nunchi-\xff", None),
            (b"nunchi-model", Some(b"again")),
            (b"nunchi", Some(b"2")),
            (b"\xff", None),
        ]);
        let mut rest = original.read().without(forged, 1);
        rest.add("nunchi-model", Some(b"true"));
        let expected = built(&[
            (b"\xff", Some(b"1")),
            (b"nunchi", Some(b"2")),
            (b"\xff", None),
            (b"nunchi-model", Some(b"true")),
        ]);
        assert_eq!(plain(rest.read()), plain(expected.read()));
        assert_eq!(rest.bytes(), expected.bytes());
        assert_eq!(original.len(), 6, "the original stays as it was");
    }

    #[test]
    fn a_name_with_a_nul_is_passed_on_whole_and_cannot_hide() {
        let original = built(&[(b"a\0b", Some(b"1")), (b"nunchi-\0x", Some(b"2")), (b"c", None)]);
        let rest = original.read().without(forged, 0);
        assert_eq!(plain(rest.read()), [(b"a".to_vec(), Some(b"1".to_vec())), (b"c".to_vec(), None)]);
        // The whole name is still there: librdkafka looks for a name of its own length.
        let (mut value, mut size) = (ptr::null(), 0);
        // SAFETY: living headers, a C string, pointers of our own.
        let code = unsafe {
            rdkafka::bindings::rd_kafka_header_get_last(
                rest.read().native,
                c"a".as_ptr(),
                &raw mut value,
                &raw mut size,
            )
        };
        assert_eq!(code, RD_KAFKA_RESP_ERR__NOENT, "the name has become `a`");
    }

    #[test]
    fn many_different_names_are_dropped_in_linear_time() {
        let mut original = HeadersBuilder::with_capacity(100_000);
        for index in 0..50_000 {
            original.add(format!("nunchi-{index}"), Some(b"forged"));
            original.add(format!("own-{index}"), None);
        }
        let rest = original.read().without(forged, 3);
        assert_eq!(rest.len(), 50_000);
        assert!(rest.read().iter().enumerate().all(|(index, header)| {
            header.name == format!("own-{index}").as_bytes() && header.value.is_none()
        }));
    }

    #[test]
    fn no_headers_are_an_empty_list() {
        let none = RawHeaders { native: ptr::null(), owner: PhantomData };
        assert_eq!((none.len(), none.bytes(), none.is_empty(), none.iter().next()), (0, 0, true, None));
        assert!(none.without(forged, 2).is_empty());
        let empty = built(&[]);
        assert!(empty.is_empty() && empty.read().without(forged, 0).is_empty());
    }
}
