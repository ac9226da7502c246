//! Builds again when a migration is added: the compiler sees changes only in those it knows.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
