//! A thread's readiness for a kernel.

/// While it lives, its thread can run the kernel that gave it out.
#[derive(Debug, Default)]
pub struct Session {
    leave: Option<fn()>,
    /// It belongs to its thread.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Session {
    /// A session that ends with `leave`.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn new(leave: fn()) -> Self {
        Session { leave: Some(leave), _thread: std::marker::PhantomData }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(leave) = self.leave {
            leave();
        }
    }
}
