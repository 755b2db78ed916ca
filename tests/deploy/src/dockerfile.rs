//! The instructions of a Dockerfile, as far as checks need them.

/// One instruction with its continuation lines joined.
#[derive(Debug, PartialEq, Eq)]
pub struct Instruction {
    /// In capitals: `COPY`.
    pub name: String,
    pub words: Vec<String>,
}

/// Reads the instructions; comments and blank lines are left out.
pub fn parse(text: &str) -> Vec<Instruction> {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut instructions = Vec::new();
    for line in joined.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        if let Some(name) = words.next() {
            instructions.push(Instruction { name: name.to_uppercase(), words: words.collect() });
        }
    }
    instructions
}

/// What `COPY` takes from the build context; copies between stages have no sources here.
pub fn copied(instructions: &[Instruction]) -> Vec<&str> {
    let copies = instructions.iter().filter(|i| i.name == "COPY" && !i.words.iter().any(|w| w.starts_with("--from")));
    copies
        .flat_map(|copy| {
            let words: Vec<&str> =
                copy.words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
            words[..words.len().saturating_sub(1)].to_vec()
        })
        .collect()
}
