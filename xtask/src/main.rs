//! What is done with the workspace besides building it: `cargo xtask package` makes the Lambda functions' zips.

mod build;
mod elf;
mod package;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the workspace")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds the functions and packs each as a zip for `provided.al2023`; the same sources give the same bytes
    Package(PackageArgs),
}

#[derive(Args)]
struct PackageArgs {
    /// For which processor
    #[arg(long, value_enum, default_value = "arm64")]
    arch: Arches,
    /// Where to [default: target/lambda]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build for x86-64 with Rust's own tools alone, also if that asks for a newer glibc than Amazon Linux 2023 has: for
    /// an emulator on this machine
    #[arg(long)]
    for_this_machine: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Arches {
    Arm64,
    #[value(name = "x86_64")]
    X86_64,
    Both,
}

fn main() -> anyhow::Result<()> {
    let Task::Package(args) = Cli::parse().task;
    let arches: &[elf::Arch] = match args.arch {
        Arches::Arm64 => &[elf::Arch::Arm64],
        Arches::X86_64 => &[elf::Arch::X86_64],
        Arches::Both => &[elf::Arch::Arm64, elf::Arch::X86_64],
    };
    let workspace = build::Workspace::here()?;
    let out = args.out.unwrap_or_else(|| workspace.target.join("lambda"));
    let mut packages = Vec::new();
    for arch in arches {
        for built in build::functions(&workspace, *arch, args.for_this_machine)? {
            packages.push(package::write(&out, *arch, &built)?);
        }
    }
    package::report(&packages)
}
