//! What every wrapper shares at the border to C: strings, arrays of pointers, and declarations that rdkafka-sys gives
//! types which are too narrow.

use crate::Error;
use rdkafka::bindings::{rd_kafka_ConsumerGroupDescription_t, rd_kafka_error_t, rd_kafka_event_t};
use std::ffi::{CStr, CString, c_char, c_int};

// rdkafka-sys declares these functions to return Rust enums. A broker newer than the bundled librdkafka may answer with a
// code that the enum lacks, and a Rust enum with a value that it lacks is undefined behavior. In C they are integers.
unsafe extern "C" {
    /// `rd_kafka_resp_err_t` of an error object.
    pub(crate) fn rd_kafka_error_code(error: *const rd_kafka_error_t) -> c_int;
    /// `rd_kafka_resp_err_t` of an event; 0 where it is none of an error.
    pub(crate) fn rd_kafka_event_error(event: *mut rd_kafka_event_t) -> c_int;
    /// `rd_kafka_consumer_group_state_t` of a group.
    pub(crate) fn rd_kafka_ConsumerGroupDescription_state(
        group: *const rd_kafka_ConsumerGroupDescription_t,
    ) -> c_int;
}

/// `text` for C; `what` names it in the error.
pub(crate) fn c_string(text: &str, what: &'static str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Nul { what })
}

/// A copy of a C string; what is not UTF-8 in it is replaced. `None` for a null pointer.
///
/// # Safety
/// `text` is null or points to a string that ends with NUL.
pub(crate) unsafe fn string(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller promises a C string.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// The pointers of a C array, without those that are null.
///
/// # Safety
/// `array` is null, or `count` pointers stand there.
pub(crate) unsafe fn pointers<T>(array: *const *const T, count: usize) -> Vec<*const T> {
    if array.is_null() {
        return Vec::new();
    }
    // SAFETY: not null, and the caller promises `count` elements.
    let array = unsafe { std::slice::from_raw_parts(array, count) };
    array.iter().copied().filter(|pointer| !pointer.is_null()).collect()
}
