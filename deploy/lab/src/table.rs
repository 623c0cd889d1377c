//! Reading what operators read: the rows of `show ip nat translations` and the samples of the metrics page.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;

/// The header of `show ip nat translations`, to the byte.
pub const TRANSLATIONS_HEADER: &str =
    "Pro  Inside global         Inside local          Outside local         Outside global";
const TOTAL: &str = "Total number of translations: ";

/// One row; an absent column reads `---`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `tcp`, `udp`, `icmp` or `---`.
    pub protocol: String,
    /// Address and port as the outside sees the inside host.
    pub inside_global: String,
    /// Address and port of the inside host.
    pub inside_local: String,
    /// Address and port as the inside sees the outside host.
    pub outside_local: String,
    /// Address and port of the outside host.
    pub outside_global: String,
}

/// The rows of a whole table: header, rows whose columns start where the header's do, a blank line and the total, which
/// must be the number of rows.
pub fn translations(text: &str) -> Result<Vec<Row>> {
    let mut lines = text.lines().skip_while(|line| line.trim().is_empty());
    let header = lines.next().unwrap_or_default();
    ensure!(header.trim_end() == TRANSLATIONS_HEADER, "the header is {header:?}");
    let mut rows = Vec::new();
    let mut total = None;
    for line in lines {
        if let Some(count) = line.strip_prefix(TOTAL) {
            total = Some(count.trim().parse::<usize>()?);
        } else if !line.trim().is_empty() {
            ensure!(total.is_none(), "a row after the total: {line:?}");
            rows.push(row(line)?);
        }
    }
    let total = total.with_context(|| format!("no line \"{TOTAL}\""))?;
    ensure!(total == rows.len(), "the total is {total} over {} rows", rows.len());
    Ok(rows)
}

fn row(line: &str) -> Result<Row> {
    let mut fields = Vec::new();
    for (column, start) in [0, 5, 27, 49, 71].into_iter().enumerate() {
        let field = line.get(start..).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
        ensure!(
            !field.is_empty() && line[start..].starts_with(field),
            "column {column} of {line:?} is out of place"
        );
        fields.push(field.to_owned());
    }
    ensure!(line.split_whitespace().count() == fields.len(), "{line:?} has not five columns");
    let mut next = fields.into_iter();
    let mut field = || next.next().unwrap_or_default();
    Ok(Row {
        protocol: field(),
        inside_global: field(),
        inside_local: field(),
        outside_local: field(),
        outside_global: field(),
    })
}

/// The samples of a metrics page by series (name and labels), every line of it well formed.
pub fn samples(page: &str) -> Result<BTreeMap<String, f64>> {
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').with_context(|| format!("no value in {line:?}"))?;
            let value = value.parse().with_context(|| format!("{line:?} has no number"))?;
            Ok((series.to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> String {
        format!("{TRANSLATIONS_HEADER}\n{rows}\nTotal number of translations: 2\n")
    }

    #[test]
    fn rows_are_read_by_column() {
        let text = table(
            "tcp  203.0.113.10:8080     10.0.0.11:80          ---                   ---\n\
             icmp 203.0.113.1:1024      10.0.0.11:1260        198.51.100.7:1260     198.51.100.7:1024\n",
        );
        let rows = translations(&text).expect("a table");
        assert_eq!(rows[0].inside_global, "203.0.113.10:8080");
        assert_eq!(rows[1].protocol, "icmp");
        assert_eq!(rows[1].outside_global, "198.51.100.7:1024");
    }

    #[test]
    fn shifted_column_and_wrong_total_are_refused() {
        let shifted = table("tcp 203.0.113.10:8080     10.0.0.11:80          ---                   ---\n");
        assert!(translations(&shifted).is_err());
        let short = table("tcp  203.0.113.10:8080     10.0.0.11:80          ---                   ---\n");
        assert!(
            translations(&short).is_err_and(|error| error.to_string().contains("the total is 2 over 1 rows"))
        );
    }

    #[test]
    fn samples_keep_their_labels() {
        let page = "# TYPE portico_packets_total counter\nportico_packets_total{direction=\"outbound\"} 7\n";
        let samples = samples(page).expect("a page");
        assert_eq!(samples["portico_packets_total{direction=\"outbound\"}"], 7.0);
        assert!(super::samples("portico_packets_total seven").is_err());
    }
}
