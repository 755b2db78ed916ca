//! The KPIs: their names, what they are made of, and their formulas.
//!
//! "Order" means an order that was accepted and not rejected. It counts when it was placed; documents count at their own
//! date. A product filter, or the split by product, looks at orders through their lines of these products.

use rust_decimal::Decimal;

/// Decimals of a value that is a quotient; more are rounded half-even.
const QUOTIENT_DECIMALS: u32 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kpi {
    Orders,
    Lines,
    Units,
    GrossSales,
    Discounts,
    Returns,
    NetSales,
    Revenue,
    AverageOrderValue,
    AveragePurchaseValue,
    ActiveCustomers,
    NewCustomers,
    NewBusinessRevenue,
    RepeatBusinessRevenue,
    Retention,
    Churn,
    RepeatOrderRate,
    CancellationRate,
    BackorderRate,
    ReturnRate,
    ProductUnits,
    ProductGross,
    ProductShare,
    OrderCycleTimeMedian,
    OrderCycleTimeMean,
    OrderCycleTimeP90,
    ProcessingTimeMedian,
    ProcessingTimeP90,
    StageAcceptedConfirmedMean,
    StageConfirmedShippedMean,
    StageShippedDeliveredMean,
    StageShippedInvoicedMean,
}

/// A group of figures that are read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figures {
    Sales,
    Documents,
    Buyers,
    FirstOrders,
    Retention,
    Cohort,
    Times,
    /// Sales of all products, whatever the product filter.
    Total,
}

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    /// Of the query's currency.
    Amount,
    Ratio,
    Seconds,
}

/// Every KPI with its name.
pub const ALL: [(&str, Kpi); 32] = [
    ("orders", Kpi::Orders),
    ("lines", Kpi::Lines),
    ("units", Kpi::Units),
    ("gross_sales", Kpi::GrossSales),
    ("discounts", Kpi::Discounts),
    ("returns", Kpi::Returns),
    ("net_sales", Kpi::NetSales),
    ("revenue", Kpi::Revenue),
    ("average_order_value", Kpi::AverageOrderValue),
    ("average_purchase_value", Kpi::AveragePurchaseValue),
    ("active_customers", Kpi::ActiveCustomers),
    ("new_customers", Kpi::NewCustomers),
    ("new_business_revenue", Kpi::NewBusinessRevenue),
    ("repeat_business_revenue", Kpi::RepeatBusinessRevenue),
    ("retention", Kpi::Retention),
    ("churn", Kpi::Churn),
    ("repeat_order_rate", Kpi::RepeatOrderRate),
    ("cancellation_rate", Kpi::CancellationRate),
    ("backorder_rate", Kpi::BackorderRate),
    ("return_rate", Kpi::ReturnRate),
    ("product_units", Kpi::ProductUnits),
    ("product_gross", Kpi::ProductGross),
    ("product_share", Kpi::ProductShare),
    ("order_cycle_time_median", Kpi::OrderCycleTimeMedian),
    ("order_cycle_time_mean", Kpi::OrderCycleTimeMean),
    ("order_cycle_time_p90", Kpi::OrderCycleTimeP90),
    ("processing_time_median", Kpi::ProcessingTimeMedian),
    ("processing_time_p90", Kpi::ProcessingTimeP90),
    ("stage_accepted_confirmed_mean", Kpi::StageAcceptedConfirmedMean),
    ("stage_confirmed_shipped_mean", Kpi::StageConfirmedShippedMean),
    ("stage_shipped_delivered_mean", Kpi::StageShippedDeliveredMean),
    ("stage_shipped_invoiced_mean", Kpi::StageShippedInvoicedMean),
];

/// The figures of one bucket and segment. Amounts are minor units, times are seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    pub sales: Option<SalesFigures>,
    pub documents: Option<DocumentFigures>,
    pub buyers: Option<BuyerFigures>,
    pub first_orders: Option<FirstOrderFigures>,
    pub retention: Option<RetentionFigures>,
    pub cohort: Option<CohortFigures>,
    pub times: Option<TimeFigures>,
    /// Gross sales of all products.
    pub total_gross: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SalesFigures {
    pub orders: Decimal,
    pub lines: Decimal,
    pub units: Decimal,
    pub gross: Decimal,
    pub discount: Decimal,
    /// Orders cancelled as a whole.
    pub cancelled: Decimal,
    /// Lines that ever waited for stock.
    pub backordered_lines: Decimal,
}

/// Net of tax.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DocumentFigures {
    pub invoiced: Decimal,
    pub credited: Decimal,
}

/// Identified customers who ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BuyerFigures {
    pub buyers: Decimal,
    /// With two orders or more.
    pub repeat_buyers: Decimal,
    /// Their orders.
    pub gross: Decimal,
}

/// First orders of identified customers. A customer's first order is the first of all, whatever the filters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FirstOrderFigures {
    pub customers: Decimal,
    pub gross: Decimal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetentionFigures {
    /// Active in the preceding bucket.
    pub before: Decimal,
    /// Of them, active in this one.
    pub kept: Decimal,
}

/// Of the orders first shipped in the bucket, whenever the goods came back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CohortFigures {
    pub shipped: Decimal,
    pub returned: Decimal,
}

/// Of the orders placed in the bucket that came that far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeFigures {
    /// From placed to the last delivery, of orders that are delivered but for what was cancelled.
    pub cycle: Spread,
    /// From accepted to the first goods issue, without the time on hold.
    pub processing: Spread,
    pub accepted_confirmed: Spread,
    pub confirmed_shipped: Spread,
    pub shipped_delivered: Spread,
    pub shipped_invoiced: Spread,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    pub count: Decimal,
    pub sum: Decimal,
    /// Between the two middle values where there is an even number.
    pub median: Option<Decimal>,
    pub p90: Option<Decimal>,
}

/// A value with what it was divided from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    pub numerator: Decimal,
    /// 1 for sums and counts; 0: there is no value.
    pub denominator: Decimal,
}

impl Answer {
    /// numerator ÷ denominator; none where that is 0.
    pub fn value(&self) -> Option<Decimal> {
        if self.denominator == Decimal::ONE {
            return Some(self.numerator);
        }
        let quotient = self.numerator.checked_div(self.denominator)?;
        Some(quotient.round_dp(QUOTIENT_DECIMALS).normalize())
    }
}

impl Kpi {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, kpi)| *kpi)
    }

    pub fn name(self) -> &'static str {
        ALL.iter().find(|(_, kpi)| *kpi == self).map_or("", |(name, _)| name)
    }

    /// What it is made of.
    pub fn figures(self) -> &'static [Figures] {
        match self {
            Kpi::Orders
            | Kpi::Lines
            | Kpi::Units
            | Kpi::GrossSales
            | Kpi::Discounts
            | Kpi::AverageOrderValue
            | Kpi::CancellationRate
            | Kpi::BackorderRate
            | Kpi::ProductUnits
            | Kpi::ProductGross => &[Figures::Sales],
            Kpi::NetSales => &[Figures::Sales, Figures::Documents],
            Kpi::Returns | Kpi::Revenue => &[Figures::Documents],
            Kpi::AveragePurchaseValue => &[Figures::Sales, Figures::Buyers],
            Kpi::ActiveCustomers | Kpi::RepeatOrderRate => &[Figures::Buyers],
            Kpi::NewCustomers | Kpi::NewBusinessRevenue => &[Figures::FirstOrders],
            Kpi::RepeatBusinessRevenue => &[Figures::Buyers, Figures::FirstOrders],
            Kpi::Retention | Kpi::Churn => &[Figures::Retention],
            Kpi::ReturnRate => &[Figures::Cohort],
            Kpi::ProductShare => &[Figures::Sales, Figures::Total],
            Kpi::OrderCycleTimeMedian
            | Kpi::OrderCycleTimeMean
            | Kpi::OrderCycleTimeP90
            | Kpi::ProcessingTimeMedian
            | Kpi::ProcessingTimeP90
            | Kpi::StageAcceptedConfirmedMean
            | Kpi::StageConfirmedShippedMean
            | Kpi::StageShippedDeliveredMean
            | Kpi::StageShippedInvoicedMean => &[Figures::Times],
        }
    }

    /// True where sales need more than lines, units and amounts: a product rollup cannot tell these of several products
    /// together.
    pub fn needs_whole_orders(self) -> bool {
        matches!(self, Kpi::Orders | Kpi::AverageOrderValue | Kpi::CancellationRate | Kpi::BackorderRate)
    }

    pub fn unit(self) -> Unit {
        match self {
            Kpi::Orders | Kpi::Lines | Kpi::Units | Kpi::ProductUnits | Kpi::ActiveCustomers | Kpi::NewCustomers => {
                Unit::Count
            }
            Kpi::GrossSales
            | Kpi::Discounts
            | Kpi::Returns
            | Kpi::NetSales
            | Kpi::Revenue
            | Kpi::AverageOrderValue
            | Kpi::AveragePurchaseValue
            | Kpi::NewBusinessRevenue
            | Kpi::RepeatBusinessRevenue
            | Kpi::ProductGross => Unit::Amount,
            Kpi::Retention
            | Kpi::Churn
            | Kpi::RepeatOrderRate
            | Kpi::CancellationRate
            | Kpi::BackorderRate
            | Kpi::ReturnRate
            | Kpi::ProductShare => Unit::Ratio,
            Kpi::OrderCycleTimeMedian
            | Kpi::OrderCycleTimeMean
            | Kpi::OrderCycleTimeP90
            | Kpi::ProcessingTimeMedian
            | Kpi::ProcessingTimeP90
            | Kpi::StageAcceptedConfirmedMean
            | Kpi::StageConfirmedShippedMean
            | Kpi::StageShippedDeliveredMean
            | Kpi::StageShippedInvoicedMean => Unit::Seconds,
        }
    }

    /// True where numerator and denominator are both amounts.
    pub fn divides_amounts(self) -> bool {
        self == Kpi::ProductShare
    }

    /// The formula. Figures that were not found count as 0.
    pub fn answer(self, measures: &Measures) -> Answer {
        let sales = measures.sales.unwrap_or_default();
        let documents = measures.documents.unwrap_or_default();
        let buyers = measures.buyers.unwrap_or_default();
        let first = measures.first_orders.unwrap_or_default();
        let retention = measures.retention.unwrap_or_default();
        let cohort = measures.cohort.unwrap_or_default();
        let times = measures.times.unwrap_or_default();
        match self {
            Kpi::Orders => plain(sales.orders),
            Kpi::Lines => plain(sales.lines),
            Kpi::Units | Kpi::ProductUnits => plain(sales.units),
            Kpi::GrossSales | Kpi::ProductGross => plain(sales.gross),
            Kpi::Discounts => plain(sales.discount),
            Kpi::Returns => plain(documents.credited),
            Kpi::NetSales => plain(sales.gross - sales.discount - documents.credited),
            Kpi::Revenue => plain(documents.invoiced - documents.credited),
            Kpi::AverageOrderValue => ratio(sales.gross, sales.orders),
            Kpi::AveragePurchaseValue => ratio(sales.gross, buyers.buyers),
            Kpi::ActiveCustomers => plain(buyers.buyers),
            Kpi::NewCustomers => plain(first.customers),
            Kpi::NewBusinessRevenue => plain(first.gross),
            Kpi::RepeatBusinessRevenue => plain(buyers.gross - first.gross),
            Kpi::Retention => ratio(retention.kept, retention.before),
            Kpi::Churn => ratio(retention.before - retention.kept, retention.before),
            Kpi::RepeatOrderRate => ratio(buyers.repeat_buyers, buyers.buyers),
            Kpi::CancellationRate => ratio(sales.cancelled, sales.orders),
            Kpi::BackorderRate => ratio(sales.backordered_lines, sales.lines),
            Kpi::ReturnRate => ratio(cohort.returned, cohort.shipped),
            Kpi::ProductShare => ratio(sales.gross, measures.total_gross.unwrap_or_default()),
            Kpi::OrderCycleTimeMedian => exact(times.cycle.median),
            Kpi::OrderCycleTimeMean => ratio(times.cycle.sum, times.cycle.count),
            Kpi::OrderCycleTimeP90 => exact(times.cycle.p90),
            Kpi::ProcessingTimeMedian => exact(times.processing.median),
            Kpi::ProcessingTimeP90 => exact(times.processing.p90),
            Kpi::StageAcceptedConfirmedMean => ratio(times.accepted_confirmed.sum, times.accepted_confirmed.count),
            Kpi::StageConfirmedShippedMean => ratio(times.confirmed_shipped.sum, times.confirmed_shipped.count),
            Kpi::StageShippedDeliveredMean => ratio(times.shipped_delivered.sum, times.shipped_delivered.count),
            Kpi::StageShippedInvoicedMean => ratio(times.shipped_invoiced.sum, times.shipped_invoiced.count),
        }
    }
}

impl Measures {
    /// True where any figure of the group is there.
    pub fn has(&self, figures: Figures) -> bool {
        match figures {
            Figures::Sales => self.sales.is_some(),
            Figures::Documents => self.documents.is_some(),
            Figures::Buyers => self.buyers.is_some(),
            Figures::FirstOrders => self.first_orders.is_some(),
            Figures::Retention => self.retention.is_some(),
            Figures::Cohort => self.cohort.is_some(),
            Figures::Times => self.times.is_some(),
            Figures::Total => false,
        }
    }
}

fn plain(sum: Decimal) -> Answer {
    Answer { numerator: sum, denominator: Decimal::ONE }
}

fn ratio(numerator: Decimal, denominator: Decimal) -> Answer {
    Answer { numerator, denominator }
}

/// A percentile: not a quotient; where there is nothing to take it of, its denominator is 0.
fn exact(value: Option<Decimal>) -> Answer {
    Answer {
        numerator: value.unwrap_or_default(),
        denominator: if value.is_some() { Decimal::ONE } else { Decimal::ZERO },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kpi_has_its_own_name_and_figures() {
        for (name, kpi) in ALL {
            assert_eq!(Kpi::named(name), Some(kpi));
            assert_eq!(kpi.name(), name);
            assert!(!kpi.figures().is_empty());
        }
        assert_eq!(Kpi::named("order"), None);
    }

    #[test]
    fn without_anything_sums_are_zero_and_quotients_have_no_value() {
        for (name, kpi) in ALL {
            let answer = kpi.answer(&Measures::default());
            assert_eq!(answer.numerator, Decimal::ZERO, "{name}");
            let is_sum = answer.denominator == Decimal::ONE;
            assert_eq!(answer.value().is_some(), is_sum, "{name}");
        }
    }

    #[test]
    fn a_value_of_one_by_one_is_exact() {
        let third = ratio(Decimal::ONE, Decimal::from(3));
        assert_eq!(third.value().unwrap().to_string(), "0.333333333333");
        assert_eq!(ratio(Decimal::from(324), Decimal::from(885)).value().unwrap().to_string(), "0.366101694915");
        assert_eq!(ratio(Decimal::from(2), Decimal::from(4)).value().unwrap().to_string(), "0.5");
    }
}
