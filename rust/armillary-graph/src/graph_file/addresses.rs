//! Address tables: where the block of each id starts and how long it is.

use crate::{GraphError, Id};

/// Where a block lies in its member, its length word included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A table with one address per row, as in predicted graphs.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressTable {
    rows: Vec<(Id, Address)>,
    /// The number that each row says it has, by row; only the oldest files use it.
    numbers: Vec<u64>,
}

/// Reads big-endian unsigned integers of one width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integers {
    pub(super) size: usize,
}

impl Integers {
    pub(super) fn new(size: usize) -> Result<Self, GraphError> {
        if (1..=8).contains(&size) { Ok(Self { size }) } else { Err(invalid(format!("integers of {size} bytes"))) }
    }

    pub(super) fn read(self, bytes: &[u8]) -> Option<u64> {
        bytes.get(..self.size).map(|bytes| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    pub(super) fn write(self, out: &mut Vec<u8>, value: u64) {
        out.extend_from_slice(&value.to_be_bytes()[8 - self.size..]);
    }
}

pub(super) fn invalid(reason: impl Into<String>) -> GraphError {
    GraphError::InvalidFile { reason: reason.into() }
}

impl AddressTable {
    /// Reads a table and checks that it is as long as it says.
    pub(super) fn parse(bytes: &[u8], int_size: usize) -> Result<Self, GraphError> {
        let integers = Integers::new(int_size)?;
        if bytes.first().map(|first| usize::from(*first)) != Some(int_size) {
            return Err(invalid("the address table and the header disagree on the width of integers"));
        }
        let short = || invalid("the address table is cut short");
        let rows = integers.read(&bytes[1..]).ok_or_else(short)?;
        let addresses = integers.read(&bytes[1 + int_size..]).ok_or_else(short)?;
        if addresses != 1 {
            return Err(invalid(format!("{addresses} addresses per row where a predicted graph has one")));
        }
        let row_size = 16 + 3 * int_size;
        let body = &bytes[1 + 2 * int_size..];
        let expected = usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(row_size));
        if expected != Some(body.len()) {
            return Err(invalid(format!("the address table says {rows} rows and has {} bytes of them", body.len())));
        }
        let mut table = Vec::with_capacity(body.len() / row_size);
        let mut numbers_of = Vec::with_capacity(table.capacity());
        for row in body.chunks_exact(row_size) {
            let (id, numbers) = row.split_at(16);
            let mut key = [0; 16];
            key.copy_from_slice(id);
            let offset = integers.read(&numbers[int_size..]).ok_or_else(short)?;
            let size = integers.read(&numbers[2 * int_size..]).ok_or_else(short)?;
            table.push((key, Address { offset, size }));
            numbers_of.push(integers.read(numbers).ok_or_else(short)?);
        }
        // A table that fits one page is read by others whatever its order, so it may come unsorted.
        if !table.is_sorted_by_key(|(id, _)| *id) {
            let mut order: Vec<usize> = (0..table.len()).collect();
            order.sort_by_key(|row| table[*row].0);
            numbers_of = order.iter().map(|row| numbers_of[*row]).collect();
            table = order.iter().map(|row| table[*row]).collect();
        }
        if let Some(twice) = table.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(invalid(format!("the address table has quantum {} twice", crate::id_text(&twice[0].0))));
        }
        Ok(Self { rows: table, numbers: numbers_of })
    }

    /// The id of the row with this number.
    pub(super) fn id_of(&self, number: u64) -> Option<Id> {
        let at = usize::try_from(number).ok()?;
        // Rows are numbered in their order, so that this is nearly always the first guess.
        let row =
            if self.numbers.get(at) == Some(&number) { at } else { self.numbers.iter().position(|n| *n == number)? };
        Some(self.rows[row].0)
    }

    pub(super) fn find(&self, id: &Id) -> Option<Address> {
        let at = self.rows.binary_search_by_key(id, |(key, _)| *key).ok()?;
        Some(self.rows[at].1)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The bytes of a table of these rows.
    pub(super) fn serialize(mut rows: Vec<(Id, Address)>, integers: Integers) -> Vec<u8> {
        rows.sort_unstable_by_key(|(id, _)| *id);
        let mut out = Vec::with_capacity(1 + 2 * integers.size + rows.len() * (16 + 3 * integers.size));
        out.push(u8::try_from(integers.size).unwrap_or(8));
        integers.write(&mut out, rows.len() as u64);
        integers.write(&mut out, 1);
        for (index, (id, address)) in rows.iter().enumerate() {
            out.extend_from_slice(id);
            integers.write(&mut out, index as u64);
            integers.write(&mut out, address.offset);
            integers.write(&mut out, address.size);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_written_and_finds_first_and_last() {
        let rows: Vec<(Id, Address)> = (0..1000_u64)
            .rev()
            .map(|i| {
                (
                    [
                        u8::try_from(i % 251).unwrap(),
                        u8::try_from(i / 251).unwrap(),
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        1,
                    ],
                    Address { offset: i, size: 2 * i },
                )
            })
            .collect();
        for size in [4, 8] {
            let bytes = AddressTable::serialize(rows.clone(), Integers::new(size).unwrap());
            let table = AddressTable::parse(&bytes, size).unwrap();
            assert_eq!(table.len(), 1000);
            for (id, address) in &rows {
                assert_eq!(table.find(id), Some(*address));
            }
            assert_eq!(table.find(&[9; 16]), None);
        }
    }

    #[test]
    fn tables_that_lie_about_their_length_are_refused() {
        let good = AddressTable::serialize(vec![([1; 16], Address::default())], Integers::new(8).unwrap());
        for length in 0..good.len() {
            assert!(AddressTable::parse(&good[..length], 8).is_err(), "{length}");
        }
        let mut huge = good.clone();
        huge[1..9].fill(255);
        assert!(AddressTable::parse(&huge, 8).is_err());
        assert!(AddressTable::parse(&good, 4).is_err());
    }
}
