//! The proof that a thread's CPU state is ready for a kernel.

use std::marker::PhantomData;

/// While it lives, its thread can run the steps and products of what gave it out. Steps and products take it as an argument: the
/// only way to one that has tiles is to configure the thread's tiles.
#[derive(Debug, Default)]
pub struct Session {
    /// What gives the thread's tiles back; `None` where vectors suffice, which every thread has.
    release_tiles: Option<fn()>,
    /// Neither sent nor shared: it speaks of the thread that made it.
    _thread: PhantomData<*const ()>,
}

impl Session {
    /// A session with tiles; `release` is called at its end.
    ///
    /// # Safety
    /// This thread's tiles are configured as [`super::tiles::Tiles`] needs them, and stay so until `release` is called.
    #[cfg(all(target_arch = "x86_64", any(target_os = "linux", test, feature = "plain")))]
    pub(super) unsafe fn with_tiles(release: fn()) -> Self {
        Session { release_tiles: Some(release), _thread: PhantomData }
    }

    /// Whether this thread's tiles are configured.
    pub(super) fn has_tiles(&self) -> bool {
        self.release_tiles.is_some()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(release) = self.release_tiles {
            release();
        }
    }
}
