//! Reads the rows of the UCI Online Retail file, and says of each what it is.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;

/// A row that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The invoice's number, of a return with its leading C.
    pub invoice: String,
    pub stock_code: String,
    pub description: String,
    /// Positive, of a return too.
    pub quantity: i64,
    pub at: Timestamp,
    /// In pounds.
    pub unit_price: Decimal,
    /// None: a guest.
    pub customer: Option<String>,
    pub country: String,
}

/// What a row tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Sold.
    Sale(Row),
    /// Came back.
    Return(Row),
    /// Neither: why not.
    Rejected(Reject),
}

/// A row that is not used.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    /// Its line in the file, from 2: the first is the header.
    pub line: u64,
    pub invoice: String,
    pub stock_code: String,
    /// When it happened, if that can be read.
    pub at: Option<Timestamp>,
    /// Stable, for programs.
    pub reason: &'static str,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "InvoiceNo")]
    invoice: String,
    #[serde(rename = "StockCode")]
    stock_code: String,
    #[serde(rename = "Description")]
    description: String,
    #[serde(rename = "Quantity")]
    quantity: String,
    #[serde(rename = "InvoiceDate")]
    date: String,
    #[serde(rename = "UnitPrice")]
    unit_price: String,
    #[serde(rename = "CustomerID")]
    customer: String,
    #[serde(rename = "Country")]
    country: String,
}

/// All rows of a file, gzipped or not.
pub fn read(path: &Path) -> Result<Vec<Told>> {
    let open = || File::open(path).with_context(|| format!("cannot read {}", path.display()));
    let mut magic = [0u8; 2];
    let is_gzip = open()?.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let file = BufReader::new(open()?);
    let input: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    parse(input).with_context(|| format!("{} is not the Online Retail file", path.display()))
}

fn parse(input: impl Read) -> Result<Vec<Told>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let headers = reader.headers()?.clone();
    let mut told = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(told),
            Ok(true) => told.push(match record.deserialize::<Raw>(Some(&headers)) {
                Ok(raw) => classify(raw, line),
                // The header is wrong, or this row is too short: the former is no file of ours.
                Err(error) if told.is_empty() => return Err(error.into()),
                Err(_) => Told::Rejected(Reject {
                    line,
                    invoice: record.get(0).unwrap_or_default().to_owned(),
                    stock_code: String::new(),
                    at: None,
                    reason: "UNREADABLE",
                }),
            }),
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                let (invoice, stock_code) = Default::default();
                told.push(Told::Rejected(Reject { line, invoice, stock_code, at: None, reason: "UNREADABLE" }));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn classify(raw: Raw, line: u64) -> Told {
    let at = super::super::instant::from_civil(&raw.date);
    let reject = |raw: &Raw, reason| {
        let (invoice, stock_code) = (raw.invoice.clone(), raw.stock_code.clone());
        Told::Rejected(Reject { line, invoice, stock_code, at, reason })
    };
    let (Some(time), Ok(quantity), Ok(unit_price)) =
        (at, raw.quantity.parse::<i64>(), raw.unit_price.parse::<Decimal>())
    else {
        return reject(&raw, "UNREADABLE");
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_sale = is_number(&raw.invoice);
    if !is_sale && !raw.invoice.strip_prefix('C').is_some_and(is_number) {
        return reject(&raw, "UNKNOWN_KIND_OF_INVOICE");
    }
    if unit_price <= Decimal::ZERO {
        return reject(&raw, "UNIT_PRICE_NOT_POSITIVE");
    }
    if is_sale && quantity <= 0 {
        return reject(&raw, "QUANTITY_NOT_POSITIVE");
    }
    if !is_sale && quantity >= 0 {
        return reject(&raw, "RETURNED_QUANTITY_NOT_NEGATIVE");
    }
    let customer = raw.customer.strip_suffix(".0").unwrap_or(&raw.customer);
    let row = Row {
        customer: (!customer.is_empty()).then(|| customer.to_owned()),
        invoice: raw.invoice,
        stock_code: raw.stock_code,
        description: raw.description.trim().to_owned(),
        quantity: quantity.saturating_abs(),
        at: time,
        unit_price,
        country: raw.country,
    };
    if is_sale { Told::Sale(row) } else { Told::Return(row) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::dec;

    const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    fn told(row: &str) -> Told {
        parse(format!("{HEADER}{row}\n").as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn sales_and_returns_are_read() {
        let Told::Sale(row) =
            told("536365,85123A,\" HEART, WHITE\",6,2010-12-01 08:26:00,2.555,17850.0,United Kingdom")
        else {
            panic!("no sale")
        };
        assert_eq!((row.quantity, row.unit_price, row.customer.as_deref()), (6, dec!(2.555), Some("17850")));
        assert_eq!(row.description, "HEART, WHITE");
        let Told::Return(row) = told("C536379,D,Discount,-2,2010-12-01 09:41:00,27.5,,France") else {
            panic!("no return")
        };
        assert_eq!((row.quantity, row.customer), (2, None));
    }

    #[test]
    fn everything_else_has_a_reason() {
        for (row, reason) in [
            ("536414,22139,,56,2010-12-01 11:52:00,0.0,,United Kingdom", "UNIT_PRICE_NOT_POSITIVE"),
            ("A563186,B,Adjust bad debt,1,2011-08-12 14:51:00,-11062.06,,United Kingdom", "UNKNOWN_KIND_OF_INVOICE"),
            ("536589,21777,,-10,2010-12-01 16:50:00,1.0,,United Kingdom", "QUANTITY_NOT_POSITIVE"),
            ("C536589,21777,,10,2010-12-01 16:50:00,1.0,,United Kingdom", "RETURNED_QUANTITY_NOT_NEGATIVE"),
            ("536589,21777,,ten,2010-12-01 16:50:00,1.0,,United Kingdom", "UNREADABLE"),
            ("536589,21777,,10,yesterday,1.0,,United Kingdom", "UNREADABLE"),
        ] {
            assert!(
                matches!(told(row), Told::Rejected(reject) if reject.reason == reason && reject.line == 2),
                "{row}"
            );
        }
    }

    #[test]
    fn a_broken_row_stops_nothing_and_another_file_is_refused() {
        let good = "536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom";
        let told = parse(format!("{HEADER}{good}\n536366,1\n{good}\n").as_bytes()).unwrap();
        assert!(matches!(&told[1], Told::Rejected(reject) if reject.reason == "UNREADABLE" && reject.line == 3));
        assert!(matches!(told[2], Told::Sale(_)));
        assert!(parse("a,b\n1,2\n".as_bytes()).is_err());
    }
}
