//! What recording costs the thread that sends, and the one that is told of acknowledgements.
//!
//! `cargo run --release -p judge --example recording_cost`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example prints, and may fail")]

use judge::{Keep, Recording};
use pipeline::producer::Place;
use std::time::{Duration, Instant};

const EVENTS: u32 = 2_000_000;

fn main() {
    for keep in [Keep::Seconds, Keep::Events] {
        let recording = Recording::new(keep);
        let sampler = recording.begin_run().unwrap();
        let mut payload =
            br#"{"score":57,"user_id":1234,"created_at":"2026-01-01T00:00:00.000000"}"#.to_vec();
        let mut pen = recording.pen();
        let mut tokens = Vec::with_capacity(EVENTS as usize);
        let begun = Instant::now();
        for event in 0..EVENTS {
            payload[10] = b'0' + u8::try_from(event % 10).unwrap();
            tokens.push(pen.write(begun + Duration::from_micros(u64::from(event)), &payload).unwrap());
            pen.sent();
        }
        let sending = begun.elapsed();
        drop(pen);
        let begun = Instant::now();
        for (token, offset) in tokens.into_iter().zip(0..) {
            recording.acknowledged(token, Place { partition: 0, offset });
        }
        let acknowledging = begun.elapsed();
        recording.end_run();
        sampler.join().unwrap();
        let each = |took: Duration| took.as_nanos() / u128::from(EVENTS);
        println!("{keep:?}: {} ns to write, {} ns to acknowledge", each(sending), each(acknowledging));
    }
}
