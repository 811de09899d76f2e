//! Packs the price book that is compiled in, so that a start reads nothing of it.

#![allow(dead_code, unreachable_pub, reason = "the modules are the library's")]
#![expect(clippy::expect_used, reason = "a build fails by panicking")]

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

#[path = "src/price/file.rs"]
mod file;
#[path = "src/price/layer.rs"]
mod layer;
#[path = "src/price/pack.rs"]
mod pack;
#[path = "src/price/packed.rs"]
mod packed;
#[path = "src/price/pattern.rs"]
mod pattern;
#[path = "src/price/tier.rs"]
mod tier;

use file::BookFile;
use packed::{Lists, Numbers, Packed, Rules, Texts};

fn main() {
    for path in ["data", "build.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for module in ["file", "layer", "pack", "packed", "pattern", "tier"] {
        println!("cargo::rerun-if-changed=src/price/{module}.rs");
    }
    let [book, overlay] = ["data/prices.json", "data/overlay.json"]
        .map(|path| fs::read_to_string(path).expect("the data of the price book is there"));
    let read = |json| BookFile::read(json).expect("the data is a price book");
    let packed = pack::pack(&read(&book).with_layer(read(&overlay))).expect("the price book can be packed");
    let out = env::var("OUT_DIR").expect("cargo names a directory");
    fs::write(Path::new(&out).join("book.rs"), written(&packed)).expect("the book can be written");
}

/// The book as an expression of `shared::price`. What is named here is all of it: a field that is added is missed.
fn written(book: &Packed) -> String {
    let Packed {
        version,
        source,
        inherit,
        tiers,
        lines,
        ids,
        called,
        called_of,
        gateway,
        fallback,
        names,
        holders,
        rules,
        own,
    } = book;
    let mut fields = format!("inherit: {inherit}, ");
    for (name, value) in [
        ("version", text(version)),
        ("source", text(source)),
        ("tiers", texts(tiers)),
        ("lines", texts(lines)),
        ("ids", texts(ids)),
        ("called", texts(called)),
        ("called_of", numbers(called_of)),
        ("gateway", numbers(gateway)),
        ("fallback", lists(fallback)),
        ("names", texts(names)),
        ("holders", lists(holders)),
        ("rules", of_rules(rules)),
        ("own", of_rules(own)),
    ] {
        write!(fields, "{name}: {value}, ").expect("a String can be written to");
    }
    format!("packed::Packed {{ {fields} }}")
}

fn text(text: &str) -> String {
    format!("Cow::Borrowed({text:?})")
}

fn numbers(numbers: &Numbers) -> String {
    format!("Cow::Borrowed(&{numbers:?})")
}

fn texts(texts: &Texts) -> String {
    format!("packed::Texts {{ all: {}, ends: {} }}", text(&texts.all), numbers(&texts.ends))
}

fn lists(lists: &Lists) -> String {
    format!("packed::Lists {{ all: {}, ends: {} }}", numbers(&lists.all), numbers(&lists.ends))
}

fn of_rules(rules: &Rules) -> String {
    let (of, shapes, texts) = (lists(&rules.of), lists(&rules.shapes), texts(&rules.texts));
    format!("packed::Rules {{ of: {of}, shapes: {shapes}, texts: {texts} }}")
}
