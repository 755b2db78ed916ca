//! An expression's tokens.

use super::Malformed;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// (
    Open,
    /// )
    Close,
    /// NOT, or - before a comparison.
    Not,
    /// AND
    And,
    /// OR
    Or,
    /// =, !=, <, <=, >, >=, :
    Operator(&'static str),
    /// A name or an unquoted value.
    Word(String),
    /// A quoted value.
    Quoted(String),
}

const OPERATORS: [&str; 7] = ["!=", "<=", ">=", "=", "<", ">", ":"];

/// The tokens of `text`, each with its place: in characters from 1.
pub fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Malformed> {
    let letters: Vec<char> = text.chars().collect();
    let mut found: Vec<(usize, Token)> = Vec::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at).copied() {
        let start = at;
        let token = match letter {
            _ if letter.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' | ')' => {
                at += 1;
                if letter == '(' { Token::Open } else { Token::Close }
            }
            '"' | '\'' => Token::Quoted(quoted(&letters, &mut at, letter)?),
            '-' if !matches!(found.last(), Some((_, Token::Operator(_)))) => {
                at += 1;
                Token::Not
            }
            _ if is_word(letter) => {
                while letters.get(at).is_some_and(|letter| is_word(*letter)) {
                    at += 1;
                }
                match letters[start..at].iter().collect::<String>() {
                    word if word == "AND" => Token::And,
                    word if word == "OR" => Token::Or,
                    word if word == "NOT" => Token::Not,
                    word => Token::Word(word),
                }
            }
            _ => {
                let rest: String = letters[at..].iter().take(2).collect();
                let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator)) else {
                    let what = format!("{letter:?} has no meaning here: quote values that hold it");
                    return Err(Malformed { at: at + 1, what });
                };
                at += operator.len();
                Token::Operator(operator)
            }
        };
        found.push((start + 1, token));
    }
    Ok(found)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || "_./@-+*".contains(letter)
}

fn quoted(letters: &[char], at: &mut usize, quote: char) -> Result<String, Malformed> {
    let start = *at;
    let mut text = String::new();
    *at += 1;
    while let Some(letter) = letters.get(*at).copied() {
        *at += 1;
        match letter {
            _ if letter == quote => return Ok(text),
            '\\' => {
                text.extend(letters.get(*at));
                *at += 1;
            }
            '\0' => return Err(Malformed { at: *at, what: "control characters are in no value".to_owned() }),
            _ => text.push(letter),
        }
    }
    Err(Malformed { at: start + 1, what: "the quote is never closed".to_owned() })
}
