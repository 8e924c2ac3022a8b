//! Work spread over threads so that the result does not depend on how many there are.

/// Does every job, job `i` on thread `i % threads`; the calling thread is one of them. Jobs must not depend on each other.
pub(super) fn spread<J: Send>(threads: usize, jobs: &mut [J], work: impl Fn(&mut J) + Sync) {
    let threads = threads.clamp(1, jobs.len().max(1));
    if threads == 1 {
        jobs.iter_mut().for_each(work);
        return;
    }
    let mut shares: Vec<Vec<&mut J>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, job) in jobs.iter_mut().enumerate() {
        shares[index % threads].push(job);
    }
    let work = &work;
    std::thread::scope(|scope| {
        let mut shares = shares.into_iter();
        let own = shares.next().expect("there is at least one thread");
        for share in shares {
            scope.spawn(move || share.into_iter().for_each(work));
        }
        own.into_iter().for_each(work);
    });
}
