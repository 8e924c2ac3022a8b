//! Work spread over threads so that the result does not depend on how many there are.
//!
//! A step of training is half a dozen short pieces of work, so that threads must wait for the next piece awake: rayon's pool does
//! that, where starting threads for each piece costs some hundredths of a step.

use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, PoisonError};

/// Pools that were made: a process trains with one number of threads, tests with some.
static POOLS: Mutex<Vec<Arc<ThreadPool>>> = Mutex::new(Vec::new());

/// Does everything in `work` on a pool of `threads` threads: what is spread in it wakes nobody up who is awake.
pub fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    match pool(threads) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Does every job, on as many as `threads` threads (within [`on_threads`]: on those), or on this one where the system gives no more.
/// Jobs must not depend on each other.
pub fn spread<J: Send>(threads: usize, jobs: &mut [J], work: impl Fn(&mut J) + Sync + Send) {
    if threads <= 1 || jobs.len() <= 1 {
        jobs.iter_mut().for_each(work);
    } else if rayon::current_thread_index().is_some() {
        jobs.par_iter_mut().for_each(work);
    } else if let Some(pool) = pool(threads) {
        pool.install(|| jobs.par_iter_mut().for_each(work));
    } else {
        jobs.iter_mut().for_each(work);
    }
}

/// The pool of so many threads; none for one, and where the system gives no more threads.
fn pool(threads: usize) -> Option<Arc<ThreadPool>> {
    if threads <= 1 {
        return None;
    }
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.iter().find(|pool| pool.current_num_threads() == threads) {
        return Some(Arc::clone(pool));
    }
    let named =
        ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("nunchi-train-{index}"));
    let pool = Arc::new(named.build().ok()?);
    pools.push(Arc::clone(&pool));
    Some(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_wherever_it_runs() {
        for threads in [1, 2, 5] {
            let mut jobs: Vec<u32> = (0..1_000).collect();
            spread(threads, &mut jobs, |job| *job += 1);
            on_threads(threads, || spread(threads, &mut jobs, |job| *job *= 2));
            assert!(jobs.iter().zip(0..).all(|(&job, number)| job == (number + 1) * 2));
        }
    }
}
