//! Thousands of small random histories through one suite, side by side: each has items, a customer and orders of its own,
//! so that each is certain, and a model of a few numbers tells what must come of it.
//!
//! Histories go in lock-step: in each round every history does one thing, then the suite comes to rest, and its stock is
//! compared with the model's. At the end every order is compared, with all its quantities and amounts.

mod ask;
mod calls;
mod compare;
mod course;
mod lists;
mod model;
mod step;

pub use course::Course;

use model::World;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use step::Step;

/// One history: what was done, and what there must be now.
struct History {
    seed: u64,
    dice: StdRng,
    /// By number in the model.
    skus: Vec<String>,
    customer_id: String,
    world: World,
    /// Ids of the model's orders; empty until the answer is there.
    ids: Vec<String>,
    /// How many rounds it takes part in.
    length: usize,
    steps: Vec<Step>,
}

impl History {
    fn new(seed: u64) -> Self {
        use rand::Rng as _;
        let mut dice = StdRng::seed_from_u64(seed);
        let skus = dice.random_range(1..=2);
        Self {
            seed,
            skus: (0..skus).map(|n| format!("H{seed}-{n}")).collect(),
            customer_id: String::new(),
            world: World::of(skus),
            ids: Vec::new(),
            length: dice.random_range(4..=8),
            steps: Vec::new(),
            dice,
        }
    }

    /// Throws what happens in this round, and tells the model.
    fn go_on(&mut self, lapses: bool) {
        let mut step = if lapses {
            Step::Lapse
        } else if self.steps.len() < self.length {
            step::next(&mut self.dice, &self.world)
        } else {
            Step::Rest
        };
        step.apply(&mut self.world);
        self.steps.push(step);
    }

    /// For whoever has to find out why.
    fn tell(&self, expected: &str, found: &str) -> String {
        let steps: Vec<String> = self.steps.iter().map(|step| format!("  {step:?}")).collect();
        let again = format!("PESAN_HISTORIES=1 PESAN_SEED={}", self.seed);
        format!("history {again}\n{}\n expected {expected}\n found    {found}\n", steps.join("\n"))
    }
}
