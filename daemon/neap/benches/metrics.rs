//! `/metrics` of 10,000 services: under 200 ms. `-- N` takes N services.

#[path = "../tests/it/scrape/mod.rs"]
mod scrape;

use std::time::{Duration, Instant};

use page::metrics::{Format, render};

const REPEATED: usize = 9;

fn main() {
    // `cargo bench` passes flags of its own.
    let services = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10_000);
    let scrape = scrape::scrape(services, None);
    for format in [Format::OpenMetrics, Format::Text] {
        let mut bytes = 0;
        let mut took: Vec<Duration> = (0..REPEATED)
            .map(|_| {
                let began = Instant::now();
                let told = render(scrape.clone(), format).expect("text takes any length");
                bytes = told.len();
                began.elapsed()
            })
            .collect();
        took.sort_unstable();
        println!(
            "{format:?} of {services} services: half within {:?}, from {:?} to {:?}, {} KiB",
            took[REPEATED / 2],
            took[0],
            took[REPEATED - 1],
            bytes / 1024
        );
    }
}
