//! What a plain scalar of YAML stands for, by the rules of YAML 1.1, which is what writers of exports follow.
//!
//! They differ from those of YAML 1.2: `yes` is true, `010` is eight, `1:30` is ninety, `1e5` is text.

/// A plain scalar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer that needs more: sign and digits in this base.
    BigInt(String, u32),
    Float(f64),
    /// A date or a time, if it is a real one.
    Time,
    /// The key `<<`, which takes in another mapping.
    Merge,
    Text,
}

/// The meaning of a scalar that stands without quotes.
pub(crate) fn resolve(text: &str) -> Plain {
    let Some(&first) = text.as_bytes().first() else { return Plain::Null };
    match first {
        b'~' if text == "~" => Plain::Null,
        b'<' if text == "<<" => Plain::Merge,
        b'n' | b'N' if matches!(text, "null" | "Null" | "NULL") => Plain::Null,
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' => word(text),
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
        _ => Plain::Text,
    }
}

fn word(text: &str) -> Plain {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Plain::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Plain::Bool(false),
        _ => Plain::Text,
    }
}

/// A number or a time; text if it is neither.
pub(crate) fn number(text: &str) -> Plain {
    if text.len() < 19 && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') {
        return text.parse().map_or(Plain::Text, Plain::Int); // nearly all of them
    }
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let found = float(digits, negative, digits.len() < text.len()).or_else(|| integer(digits, negative));
    found.unwrap_or(if looks_like_time(text) { Plain::Time } else { Plain::Text })
}

fn all(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(fits)
}

fn integer(digits: &str, negative: bool) -> Option<Plain> {
    let (digits, base) = if let Some(rest) = digits.strip_prefix("0b").filter(|rest| all(rest, |b| b"01_".contains(&b)))
    {
        (rest, 2)
    } else if let Some(rest) =
        digits.strip_prefix("0x").filter(|rest| all(rest, |b| b.is_ascii_hexdigit() || b == b'_'))
    {
        (rest, 16)
    } else if digits.len() > 1 && digits.starts_with('0') && all(&digits[1..], |b| matches!(b, b'0'..=b'7' | b'_')) {
        (digits, 8)
    } else if digits == "0" || (digits.starts_with(|c| matches!(c, '1'..='9')) && all(digits, digit_or_line)) {
        (digits, 10)
    } else {
        let (first, rest) = digits.split_once(':')?;
        let whole = first.starts_with(|c| matches!(c, '1'..='9')) && all(first, digit_or_line);
        return sixties(whole, first, rest).map(|value| Plain::Int(if negative { -value } else { value }));
    };
    let signed: String = negative.then_some('-').into_iter().chain(digits.chars().filter(|&one| one != '_')).collect();
    let number = i64::from_str_radix(&signed, base);
    Some(number.map_or_else(|_| Plain::BigInt(signed, base), Plain::Int))
}

const fn digit_or_line(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// `1:30:00`: digits of base 60. Those that do not fit 64 bits are no numbers anybody writes.
fn sixties(valid: bool, first: &str, rest: &str) -> Option<i64> {
    let mut value: i64 = first.replace('_', "").parse().ok().filter(|_| valid)?;
    for part in rest.split(':') {
        let digit: i64 = part.parse().ok().filter(|_| all(part, |b| b.is_ascii_digit()) && part.len() < 3)?;
        value = (digit < 60).then(|| value.checked_mul(60)?.checked_add(digit)).flatten()?;
    }
    Some(value)
}

#[allow(clippy::cast_precision_loss, reason = "digits of base 60 before the point are few")]
fn float(digits: &str, negative: bool, signed: bool) -> Option<Plain> {
    let sign = if negative { -1.0 } else { 1.0 };
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(Plain::Float(sign * f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if !signed => return Some(Plain::Float(f64::NAN)),
        _ => {}
    }
    let (before, after) = digits.split_once('.')?;
    if let Some((first, rest)) = before.split_once(':') {
        let whole = first.starts_with(|c: char| c.is_ascii_digit()) && all(first, digit_or_line);
        let value = sixties(whole, first, rest).filter(|_| after.bytes().all(digit_or_line))?;
        let fraction: f64 = format!("0.{}", after.replace('_', "")).parse().ok()?;
        return Some(Plain::Float(sign * (value as f64 + fraction)));
    }
    let (fraction, exponent) =
        after.find(['e', 'E']).map_or((after, None), |at| (&after[..at], Some(&after[at + 1..])));
    // An exponent has its sign, always; without digits before the point there are some behind it, and no sign.
    let before_fits = before.starts_with(|c: char| c.is_ascii_digit()) && all(before, digit_or_line);
    let after_fits = before.is_empty() && !signed && fraction.starts_with(|c: char| c.is_ascii_digit());
    let exponent_fits = exponent
        .is_none_or(|one| one.strip_prefix(['+', '-']).is_some_and(|number| all(number, |b| b.is_ascii_digit())));
    if !(before_fits || after_fits) || !exponent_fits || !fraction.bytes().all(digit_or_line) {
        return None;
    }
    let plain = if digits.contains('_') { digits.replace('_', "") } else { digits.to_owned() };
    plain.parse().ok().map(|value: f64| Plain::Float(sign * value))
}

/// Whether it begins like `2020-1-1`.
fn looks_like_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-' && bytes[5].is_ascii_digit()
}
