//! Names and globs over names.

/// Whether a pattern is a glob: it has `*`, `?` or a bracketed set.
#[must_use]
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?']) || pattern.find('[').is_some_and(|open| pattern[open..].contains(']'))
}

/// Whether a glob fits the whole of a name; capital letters differ from small ones.
///
/// ```
/// use armillary_registry::glob_fits;
/// assert!(glob_fits("HSC/runs/w_2?", "HSC/runs/w_21") && glob_fits("*[!0-9]", "raw") && !glob_fits("raw", "Raw"));
/// ```
#[must_use]
pub fn glob_fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where to go on when the text after the last star does not fit: the star takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at + 1, from));
            at += 1;
        } else if let (Some(next), true) = (one_fits(&pattern, at, name.get(from)), from < name.len()) {
            at = next;
            from += 1;
        } else if at == pattern.len() && from == name.len() {
            return true;
        } else if let Some((star, taken)) = retry.filter(|(_, taken)| *taken < name.len()) {
            retry = Some((star, taken + 1));
            (at, from) = (star, taken + 1);
        } else {
            return false;
        }
    }
}

/// If the single-character part of the pattern at `at` fits `found`, where the pattern goes on.
fn one_fits(pattern: &[char], at: usize, found: Option<&char>) -> Option<usize> {
    let (wanted, found) = (*pattern.get(at)?, *found?);
    match wanted {
        '?' => Some(at + 1),
        '[' => match set_end(pattern, at) {
            Some(end) => set_holds(&pattern[at + 1..end], found).then_some(end + 1),
            None => (found == '[').then_some(at + 1),
        },
        _ => (wanted == found).then_some(at + 1),
    }
}

fn set_end(pattern: &[char], open: usize) -> Option<usize> {
    let mut at = open + 1;
    if pattern.get(at) == Some(&'!') {
        at += 1;
    }
    // A bracket right after the opening is a member, not the end.
    (at + 1..pattern.len()).find(|position| pattern[*position] == ']')
}

fn set_holds(set: &[char], found: char) -> bool {
    let (negated, set) = match set.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, set),
    };
    let mut holds = false;
    let mut at = 0;
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            holds |= (set[at]..=set[at + 2]).contains(&found);
            at += 3;
        } else {
            holds |= set[at] == found;
            at += 1;
        }
    }
    holds != negated
}

#[cfg(test)]
mod tests {
    use super::{glob_fits, is_glob};

    #[test]
    fn globs_fit_as_file_names_do() {
        let cases = [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b", "ab", true),
            ("a*b", "abc", false),
            ("[!a]*", "abc", false),
            ("[]]", "]", true),
            ("[a-c]?", "bz", true),
            ("[a", "[a", true),
            ("**", "x/y", true),
            ("ü?", "üé", true),
        ];
        for (pattern, name, fits) in cases {
            assert_eq!(glob_fits(pattern, name), fits, "{pattern} on {name}");
        }
        assert!(is_glob("[ab]") && !is_glob("a]b[") && !is_glob("HSC/runs"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let name = "a".repeat(2000);
        assert!(!glob_fits(&format!("{}b", "a*".repeat(50)), &name));
    }
}
