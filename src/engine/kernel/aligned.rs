//! Buffers that begin at a cache line, so that a vector load never straddles two.

/// The size of a cache line and of the widest vector, in bytes.
const LINE: usize = 64;

/// A vector of plain numbers that begins at a multiple of 64 bytes. Growing throws the content away.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut new = Aligned { data: Vec::new(), start: 0, len: 0 };
        new.resize(len);
        new
    }

    /// Makes room for `len` values. Old values stay if there was room already; otherwise all are zero.
    pub(crate) fn resize(&mut self, len: usize) {
        let slack = LINE / size_of::<T>();
        if self.start + len > self.data.len() {
            // Freed first: old and new need not be held at once.
            self.data = Vec::new();
            self.data.resize(len + slack, T::default());
            self.start = self.data.as_ptr().align_offset(LINE).min(slack);
        }
        self.len = len;
    }
}

impl<T> std::ops::Deref for Aligned<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.data[self.start..self.start + self.len]
    }
}

impl<T> std::ops::DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..self.start + self.len]
    }
}
