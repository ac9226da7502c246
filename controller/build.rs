//! Builds anew when a file of the page is added; changed ones are noticed without this.

fn main() {
    println!("cargo::rerun-if-changed=../static");
}
