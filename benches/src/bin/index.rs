//! The session index beside hashbrown's table, as the path uses either: bursts of 32 look-ups in random order, the
//! record compared at the end of each.
#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use clap::Parser;
use dataplane::state::table::index::{Hash, Hasher, Index};
use hashbrown::HashTable;
use mem::tsc;

/// Compares the session index with hashbrown's table.
#[derive(Parser)]
struct Arguments {
    /// Entry counts to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [1024u32, 65_536, 1 << 20, 1 << 22])]
    entries: Vec<u32>,
    /// Look-ups of each measurement.
    #[arg(long, default_value_t = 1 << 22)]
    lookups: u32,
    /// Measurements; the shortest counts.
    #[arg(long, default_value_t = 5)]
    runs: u32,
}

const BURST: usize = 32;

/// A record as long as a session.
#[derive(Clone)]
#[repr(align(64))]
struct Record {
    key: [u64; 2],
}

fn key_of(number: u32) -> [u64; 2] {
    [u64::from(number) << 16 | 7, u64::from(number.wrapping_mul(0x9e37_79b1))]
}

/// An odd stride visits every entry of a power of two, far from the one before.
fn next(number: &mut u32, entries: u32) -> u32 {
    *number = number.wrapping_add(0x9e37_79b1) & (entries - 1);
    *number
}

/// Ticks of a look-up, the shortest of some runs; `burst` looks so many keys up and says how many it found.
fn ticks(
    arguments: &Arguments,
    entries: u32,
    mut burst: impl FnMut(&[[u64; 2]; BURST]) -> usize,
) -> Result<f64> {
    let mut shortest = f64::INFINITY;
    for _ in 0..arguments.runs {
        let (mut number, mut found, mut spent) = (0, 0, 0);
        for _ in 0..arguments.lookups as usize / BURST {
            let keys = std::array::from_fn(|_| key_of(next(&mut number, entries)));
            let started = tsc();
            found += burst(&keys);
            spent += tsc() - started;
        }
        let lookups = arguments.lookups as usize / BURST * BURST;
        ensure!(found == lookups, "{found} of {lookups} keys were found");
        shortest = shortest.min(spent as f64 / lookups as f64);
    }
    Ok(shortest)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let hasher = Hasher::new([0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321]);
    println!(
        "{:>10}{:>16}{:>22}{:>18}{:>18}",
        "entries", "index ticks", "hashbrown ticks", "index B", "hashbrown B"
    );
    for &entries in &arguments.entries {
        let entries = entries.next_power_of_two();
        let records: Vec<Record> = (0..entries).map(|number| Record { key: key_of(number) }).collect();
        let is_key =
            |value: u32, key: [u64; 2]| records.get(value as usize).is_some_and(|record| record.key == key);

        let mut index = Index::new(entries as usize);
        for number in 0..entries {
            ensure!(index.insert(hasher.hash(key_of(number)), number), "the index is full");
        }
        let of_index = ticks(&arguments, entries, |keys| {
            let hashes: [Hash; BURST] = std::array::from_fn(|at| hasher.hash(keys[at]));
            hashes.iter().for_each(|&hash| index.prefetch(hash));
            for value in hashes.iter().filter_map(|&hash| index.candidate_anywhere(hash)) {
                mem::prefetch(&records[value as usize]);
            }
            let is_found = |at: &usize| index.find(hashes[*at], |value| is_key(value, keys[*at])).is_some();
            (0..BURST).filter(is_found).count()
        })?;

        let mut table: HashTable<u32> = HashTable::with_capacity(entries as usize);
        let hash_of = |number: u32| hasher.hash(key_of(number)).bits();
        for number in 0..entries {
            table.insert_unique(hash_of(number), number, |&stored| hash_of(stored));
        }
        let of_table = ticks(&arguments, entries, |keys| {
            let is_found = |key: &&[u64; 2]| {
                table.find(hasher.hash(**key).bits(), |&value| is_key(value, **key)).is_some()
            };
            keys.iter().filter(is_found).count()
        })?;
        let bytes = |bytes: usize| bytes as f64 / f64::from(entries);
        println!(
            "{entries:>10}{of_index:>16.1}{of_table:>22.1}{:>18.1}{:>18.1}",
            bytes(index.bytes()),
            bytes(table.allocation_size())
        );
    }
    Ok(())
}
