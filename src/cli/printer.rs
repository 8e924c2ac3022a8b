//! Where every command writes: results to standard output, progress and messages to standard error.
//!
//! Writing never fails where it is done, and never panics as `println!` does. The first error of
//! standard output is kept, and [`finish`] makes it the process's status: a full disk is an error, a closed pipe is none.
//! Errors of standard error are ignored: there is nowhere left to report them, and no reason to end the work.

use super::exit::ExitStatus;
use std::fmt;
use std::io::{self, ErrorKind, Stdout, Write};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Writes to standard output, as `print!` does.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::printer::write_result(::std::format_args!($($text)*)) };
}

/// Writes a line to standard output, as `println!` does.
macro_rules! outln {
    () => { $crate::cli::printer::write_result(::std::format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::printer::write_result(::std::format_args!("{}\n", ::std::format_args!($($text)*))) };
}

/// Writes to standard error, as `eprint!` does.
macro_rules! err {
    ($($text:tt)*) => { $crate::cli::printer::write_message(::std::format_args!($($text)*)) };
}

/// Writes a line to standard error, as `eprintln!` does.
macro_rules! errln {
    ($($text:tt)*) => { $crate::cli::printer::write_message(::std::format_args!("{}\n", ::std::format_args!($($text)*))) };
}

pub(super) use {err, errln, out, outln};

/// The results of this process.
static RESULTS: LazyLock<Mutex<Results<Stdout>>> = LazyLock::new(|| Mutex::new(Results::new(io::stdout())));

fn results() -> MutexGuard<'static, Results<Stdout>> {
    RESULTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes to standard output; [`out!`] and [`outln!`] call this.
pub(super) fn write_result(text: fmt::Arguments<'_>) {
    results().write_fmt(text);
}

/// Writes to standard error; [`err!`] and [`errln!`] call this.
pub(super) fn write_message(text: fmt::Arguments<'_>) {
    crate::telemetry::message(&fmt::format(text));
}

/// Writes `bytes` to standard output at once; whether more can be written.
pub(super) fn write_bytes(bytes: &[u8]) -> bool {
    let mut results = results();
    results.write_all(bytes);
    results.flush();
    results.is_open()
}

/// Standard output, for what writes to a [`Write`]. Its errors only mean that writing may end: [`finish`] reports them.
pub(super) struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if write_bytes(bytes) { Ok(bytes.len()) } else { Err(ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what is buffered. The status of the process, if its command ended with `status`: a result that could not be
/// written is a failure, unless its reader closed the pipe.
pub(super) fn finish(status: ExitStatus) -> ExitStatus {
    let mut results = results();
    results.flush();
    match results.failure.take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            errln!("nunchi: cannot write to standard output: {error}");
            if status == ExitStatus::Done { ExitStatus::Failed } else { status }
        }
        _ => status,
    }
}

/// A writer that keeps its first error. After the first failure nothing more is written: half a line must not be followed by others.
struct Results<W> {
    out: W,
    failure: Option<io::Error>,
}

impl<W: Write> Results<W> {
    fn new(out: W) -> Self {
        Results { out, failure: None }
    }

    fn is_open(&self) -> bool {
        self.failure.is_none()
    }

    fn attempt(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = write(&mut self.out).err();
        }
    }

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) {
        self.attempt(|out| out.write_fmt(text));
    }

    fn write_all(&mut self, bytes: &[u8]) {
        self.attempt(|out| out.write_all(bytes));
    }

    fn flush(&mut self) {
        self.attempt(Write::flush);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1 - self.0.len();
            if room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            let written = &bytes[..room.min(bytes.len())];
            self.0.extend_from_slice(written);
            Ok(written.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_first_failure_is_kept_and_nothing_follows_it() {
        let mut results = Results::new(Disk(Vec::new(), 5));
        results.write_fmt(format_args!("{}\n", 12));
        assert!(results.is_open());
        results.write_all(b"345\n");
        assert!(!results.is_open());
        results.out.1 = 100;
        results.write_all(b"678\n");
        results.flush();
        assert_eq!(results.out.0, b"12\n34");
        assert_eq!(results.failure.map(|error| error.kind()), Some(ErrorKind::StorageFull));
    }
}
