//! Charts as inline SVG. Only geometry is computed in floating point; what people read is the exact text.

use maud::{Markup, html};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
/// Room for the axis' labels.
const LEFT: f64 = 80.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 12.0;

/// One value of a chart.
pub struct Point {
    /// Under the axis: "2011-01".
    pub label: String,
    /// None: there is no value.
    pub value: Option<String>,
}

impl Point {
    fn height(&self) -> Option<f64> {
        self.value.as_deref()?.parse().ok()
    }
}

/// Bars over time.
pub fn bars(title: &str, points: &[Point]) -> Markup {
    let scale = Scale::of(points);
    frame(title, points, &scale, |place, x, width| {
        let point = points.get(place)?;
        let height = point.height()?;
        let (top, zero) = (scale.y(height.max(0.0)), scale.y(height.min(0.0)));
        Some(html! {
            rect.bar x=(number(x + width * 0.15)) y=(number(top)) width=(number(width * 0.7))
                height=(number((zero - top).max(0.0))) { title { (point.label) ": " (point.value.as_deref().unwrap_or("")) } }
        })
    })
}

/// A curve over time, broken where there is no value.
pub fn curve(title: &str, points: &[Point]) -> Markup {
    let scale = Scale::of(points);
    let step = (WIDTH - LEFT) / points.len().max(1) as f64;
    frame(title, points, &scale, |place, x, width| {
        let point = points.get(place)?;
        let (at_x, at_y) = (x + width / 2.0, scale.y(point.height()?));
        let next = points.get(place + 1).and_then(Point::height).map(|height| (at_x + step, scale.y(height)));
        Some(html! {
            @if let Some((next_x, next_y)) = next {
                line.curve x1=(number(at_x)) y1=(number(at_y)) x2=(number(next_x)) y2=(number(next_y)) {}
            }
            circle.dot cx=(number(at_x)) cy=(number(at_y)) r="3.5" {
                title { (point.label) ": " (point.value.as_deref().unwrap_or("")) }
            }
        })
    })
}

/// Shares of the largest value, with their names: a table with bars. `rows`: name, value, further text.
pub fn ranking(title: &str, heads: [&str; 3], rows: &[(String, String, String)]) -> Markup {
    let largest = rows.iter().filter_map(|(_, value, _)| value.parse::<f64>().ok()).fold(0.0, f64::max);
    html! {
        section {
            h2 { (title) }
            table {
                thead { tr { th { (heads[0]) } th {} th.number { (heads[1]) } th.number { (heads[2]) } } }
                tbody {
                    @for (name, value, further) in rows {
                        tr {
                            td { @if name.is_empty() { span.dim { "none" } } @else { (name) } }
                            td {
                                svg viewBox="0 0 120 12" role="presentation" {
                                    rect.bar x="0" y="1" height="10" width=(number(share(value, largest) * 120.0)) {}
                                }
                            }
                            td.number { (value) }
                            td.number { (further) }
                        }
                    }
                }
            }
        }
    }
}

fn share(value: &str, largest: f64) -> f64 {
    match value.parse::<f64>() {
        Ok(value) if largest > 0.0 => (value / largest).clamp(0.0, 1.0),
        _ => 0.0,
    }
}

/// From the smallest value (or 0) at the bottom to the largest at the top.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(points: &[Point]) -> Self {
        let heights = || points.iter().filter_map(Point::height);
        let (low, high) = (heights().fold(0.0, f64::min), heights().fold(0.0, f64::max));
        Self { low, high: if high > low { high } else { low + 1.0 } }
    }

    fn y(&self, height: f64) -> f64 {
        let inner = HEIGHT - TOP - BOTTOM;
        TOP + inner * (self.high - height) / (self.high - self.low)
    }
}

fn frame(title: &str, points: &[Point], scale: &Scale, mark: impl Fn(usize, f64, f64) -> Option<Markup>) -> Markup {
    let step = (WIDTH - LEFT) / points.len().max(1) as f64;
    // At most about a dozen labels fit.
    let every = points.len().div_ceil(12).max(1);
    html! {
        section {
            h2 { (title) }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(title) {
                @for level in [scale.low, scale.high] {
                    line.axis x1=(number(LEFT)) x2=(number(WIDTH)) y1=(number(scale.y(level))) y2=(number(scale.y(level))) {}
                    text x=(number(LEFT - 6.0)) y=(number(scale.y(level) + 4.0)) text-anchor="end" { (short(level)) }
                }
                @for (place, point) in points.iter().enumerate() {
                    @let x = LEFT + place as f64 * step;
                    @if let Some(mark) = mark(place, x, step) { (mark) }
                    @if place % every == 0 {
                        text x=(number(x + step / 2.0)) y=(number(HEIGHT - 8.0)) text-anchor="middle" { (point.label) }
                    }
                }
            }
        }
    }
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

/// "1.5M", "823.7k", "0.37".
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        format!("{:.1}M", value / 1e6)
    } else if size >= 10_000.0 {
        format!("{:.1}k", value / 1e3)
    } else if size >= 10.0 || value == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(label: &str, value: Option<&str>) -> Point {
        Point { label: label.into(), value: value.map(str::to_owned) }
    }

    #[test]
    fn the_largest_bar_fills_the_height_and_names_are_escaped() {
        let svg = bars("<b>", &[point("a", Some("5")), point("b", Some("10")), point("c", None)]).into_string();
        assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>"));
        let full = HEIGHT - TOP - BOTTOM;
        assert!(
            svg.contains(&format!("height=\"{full:.1}\"")) && svg.contains(&format!("height=\"{:.1}\"", full / 2.0))
        );
        assert_eq!(svg.matches("<rect").count(), 2, "no value, no bar");
    }

    #[test]
    fn a_curve_breaks_where_there_is_no_value() {
        let svg =
            curve("r", &[point("a", Some("0.5")), point("b", Some("0.4")), point("c", None), point("d", Some("1"))]);
        let svg = svg.into_string();
        assert_eq!(svg.matches("class=\"curve\"").count(), 1);
        assert_eq!(svg.matches("<circle").count(), 3);
    }

    #[test]
    fn without_any_value_nothing_is_divided_by_zero() {
        for svg in [bars("x", &[]), curve("x", &[point("a", None)]), ranking("x", ["a", "b", "c"], &[])] {
            assert!(!svg.into_string().contains("NaN"));
        }
    }
}
