//! Buffers that begin at a cache line, so that a vector load never straddles two.

/// The size of a cache line and of the widest vector, in bytes.
const LINE: usize = 64;

/// A vector of plain elements that begins at a multiple of 64 bytes. Growing throws the content away.
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
            self.data.reserve_exact(len + slack);
            huge_pages(&mut self.data);
            self.data.resize(len + slack, T::default());
            self.start = self.data.as_ptr().align_offset(LINE).min(slack);
        }
        self.len = len;
    }
}

/// Asks for large pages where a buffer is large: rows of a table are read in random order, and a table of thousands of small
/// pages has more of them than the CPU keeps addresses of.
fn huge_pages<T>(data: &mut Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 2 << 20;
        let spare = data.spare_capacity_mut();
        let (start, bytes) = (spare.as_mut_ptr() as usize, size_of_val(spare));
        let first = start.next_multiple_of(PAGE);
        let whole = (start + bytes).saturating_sub(first) / PAGE * PAGE;
        if whole > 0 && !cfg!(miri) {
            // SAFETY: advice about pages that lie whole in this buffer; it changes no content. A system that knows no large pages
            // says so, and nothing is lost.
            unsafe { libc::madvise(first as *mut libc::c_void, whole, libc::MADV_HUGEPAGE) };
        }
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
