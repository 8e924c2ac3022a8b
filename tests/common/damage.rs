//! Damage to the log of the test's broker.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// The batches of a partition's log: position in the file, length, first offset.
fn batches(log: &[u8]) -> Vec<(usize, usize, i64)> {
    let mut batches = Vec::new();
    let mut at = 0;
    while at + 12 <= log.len() {
        let first = i64::from_be_bytes(log[at..at + 8].try_into().unwrap());
        let length = u32::from_be_bytes(log[at + 8..at + 12].try_into().unwrap()) as usize + 12;
        if length == 12 {
            break;
        }
        batches.push((at, length, first));
        at += length;
    }
    batches
}

/// Flips a bit in the records of the batch that begins at `offset`, as a failing disk does; once more repairs it.
/// False, said aloud, where the log cannot be reached.
pub fn damage(topic: &str, partition: i32, offset: i64) -> bool {
    let Ok(folder) = std::env::var("KAFKA_DATA") else {
        super::needs::lacking("kafka", "KAFKA_DATA is not set: the broker's log cannot be damaged");
        return false;
    };
    let path = PathBuf::from(folder).join(format!("{topic}-{partition}/00000000000000000000.log"));
    let log = std::fs::read(&path).unwrap();
    let (at, length, _) = *batches(&log).iter().find(|(_, _, first)| *first == offset).unwrap();
    let last = at + length - 3;
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_at(&[log[last] ^ 0x10], last as u64).unwrap();
    true
}
