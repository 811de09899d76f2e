//! The model against `docs/cost.md`, the module's variables, itself, and the simulation.

mod cost_page;
mod page;
mod properties;
mod simulation;
mod variables;
