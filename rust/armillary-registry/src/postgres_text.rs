//! Statements as `PostgreSQL` reads them: numbered parameters, and one statement for many rows.

use std::fmt::Write as _;
use tokio_postgres::types::Type;

/// Writes `?` and `?1` as `$1`, outside quotes; those in turn get the casts.
pub(crate) fn numbered(sql: &str, casts: &[&str]) -> String {
    let mut count = 0;
    replaced(sql, |out, number| {
        let number = number.unwrap_or_else(|| {
            count += 1;
            count
        });
        let cast = casts.get(number - 1).copied().unwrap_or_default();
        let _ = write!(out, "${number}{cast}");
    })
}

/// Replaces the parameters outside quotes; `write` gets the number of one that has it written.
pub(crate) fn replaced(sql: &str, mut write: impl FnMut(&mut String, Option<usize>)) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    let mut quote = None;
    let mut rest = sql.chars().peekable();
    while let Some(character) = rest.next() {
        match (quote, character) {
            (None, '?') => {
                let mut digits = String::new();
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                write(&mut out, digits.parse().ok());
                continue;
            }
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
        out.push(character);
    }
    out
}

/// A statement whose parameters are numbered from one, numbered from `by + 1`.
pub(crate) fn shifted(sql: &str, by: usize) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    let mut quote = None;
    let mut rest = sql.chars().peekable();
    while let Some(character) = rest.next() {
        out.push(character);
        match (quote, character) {
            (None, '$') => {
                let mut digits = String::new();
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                match digits.parse::<usize>() {
                    Ok(number) => {
                        let _ = write!(out, "{}", number + by);
                    }
                    Err(_) => out.push_str(&digits),
                }
            }
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    out
}

/// The statement that does for arrays of values what `sql`, an INSERT or DELETE, does for one; none for others.
///
/// ```text
/// INSERT INTO t (a, b) VALUES (?, f(?)) ON CONFLICT DO NOTHING
/// INSERT INTO t (a, b) SELECT x.p1, f(x.p2) FROM unnest($1::int8[], $2::text[]) AS x(p1, p2) WHERE true ON CONFLICT DO NOTHING
/// ```
pub(crate) fn bulk_sql(sql: &str, kinds: &[Type]) -> Option<String> {
    const BINARY: [Type; 8] =
        [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::FLOAT8, Type::TEXT, Type::VARCHAR, Type::UUID];
    if kinds.is_empty() || !kinds.iter().all(|kind| BINARY.contains(kind)) {
        return None;
    }
    let mut source = String::from(" FROM unnest(");
    let mut names = String::new();
    for (position, kind) in kinds.iter().enumerate() {
        let comma = if position == 0 { "" } else { ", " };
        let _ = write!(source, "{comma}${}::{}[]", position + 1, kind.name());
        let _ = write!(names, "{comma}p{}", position + 1);
    }
    let _ = write!(source, ") AS x({names})");
    let mut count = 0;
    let mut parameters = |text: &str| {
        replaced(text, |out, number| {
            count += 1;
            let _ = write!(out, "x.p{}", number.unwrap_or(count));
        })
    };
    if sql.starts_with("DELETE FROM ") {
        let (head, condition) = sql.split_once(" WHERE ")?;
        let source = source.replacen(" FROM ", " USING ", 1);
        return Some(format!("{head}{source} WHERE {}", parameters(condition)));
    }
    if !sql.starts_with("INSERT INTO ") || sql.contains(" RETURNING ") {
        return None;
    }
    let (head, rest) = sql.split_once(" VALUES (")?;
    let end = closing(rest)?;
    Some(format!("{head} SELECT {}{source} WHERE true{}", parameters(&rest[..end]), &rest[end + 1..]))
}

/// Where the bracket closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (position, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(position),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_outside_quotes() {
        assert_eq!(numbered("a = ? AND \"b?\" = '?' OR c = ?2", &[]), "a = $1 AND \"b?\" = '?' OR c = $2");
        assert_eq!(numbered("a > ? OR b = ?", &["::bigint", ""]), "a > $1::bigint OR b = $2");
    }

    #[test]
    fn numbers_are_shifted_outside_quotes() {
        let sql = "INSERT INTO \"t$1\" SELECT $1, $12::int8[] WHERE a = '$2'";
        assert_eq!(shifted(sql, 0), sql);
        assert_eq!(shifted(sql, 9), "INSERT INTO \"t$1\" SELECT $10, $21::int8[] WHERE a = '$2'");
    }

    #[test]
    fn one_statement_does_for_many_rows() {
        let sql = bulk_sql("INSERT INTO t (a, b) VALUES (?, f(?)) ON CONFLICT DO NOTHING", &[Type::INT8, Type::TEXT]);
        assert_eq!(
            sql.as_deref(),
            Some(
                "INSERT INTO t (a, b) SELECT x.p1, f(x.p2) FROM unnest($1::int8[], $2::text[]) AS x(p1, p2) \
                 WHERE true ON CONFLICT DO NOTHING"
            )
        );
        let sql = bulk_sql("DELETE FROM t WHERE a = ?", &[Type::UUID]);
        assert_eq!(sql.as_deref(), Some("DELETE FROM t USING unnest($1::uuid[]) AS x(p1) WHERE a = x.p1"));
        assert_eq!(bulk_sql("INSERT INTO t (a) VALUES (?)", &[Type::TIMESTAMP]), None);
        assert_eq!(bulk_sql("UPDATE t SET a = ?", &[Type::INT8]), None);
    }
}
