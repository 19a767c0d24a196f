//! The program with an engine and a `docker` program that only write down what they are asked: what it asks of them,
//! and what it leaves behind when it is interrupted meanwhile.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod bench;
mod dry_run;
mod interrupted;
mod scripts;
