//! Timestamps as the existing system writes them: UTC, microseconds, no zone (`2026-01-31T12:00:00.000001`).

use std::time::{SystemTime, UNIX_EPOCH};

/// The present moment.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// The least timestamp after another one: one microsecond later if it has one to spare, else the same with one more digit.
pub(crate) fn after(timestamp: &str) -> String {
    let (seconds, fraction) = timestamp.split_once('.').unwrap_or((timestamp, "000000"));
    match fraction.parse::<u32>() {
        Ok(micros) if fraction.len() == 6 && micros < 999_999 => format!("{seconds}.{:06}", micros + 1),
        _ => format!("{timestamp}1"),
    }
}

/// Microseconds since 1970 as text.
fn format_micros(micros: u64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (year, month, day) = civil(seconds / 86_400);
    let rest = seconds % 86_400;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}")
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March, so that the leap day is last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days from 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_is_later() {
        for text in
            ["2024-12-31T23:59:59.999999", "2024-12-31T23:59:59.000009", "2024-12-31T23:59:59.9999991"]
        {
            assert!(after(text).as_str() > text, "{text}");
        }
    }

    #[test]
    fn formats_known_moments() {
        assert_eq!(format_micros(0), "1970-01-01T00:00:00.000000");
        assert_eq!(format_micros(951_782_400_000_001), "2000-02-29T00:00:00.000001");
        assert_eq!(format_micros(1_735_689_599_999_999), "2024-12-31T23:59:59.999999");
        assert_eq!(format_micros(4_107_542_400_000_000), "2100-03-01T00:00:00.000000");
    }
}
