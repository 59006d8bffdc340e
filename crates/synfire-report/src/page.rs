//! What all pages have in common.

use crate::chart::Figure;
use crate::draw::Ground;
use crate::text::quoted;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page. `data` is what its script shows, as JSON.
pub(crate) fn page(title: &str, about: &str, body: &Markup, data: &str) -> String {
    // Whatever a name holds, it ends no script.
    let data = data.replace('<', "\\u003c");
    let policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content="Synfire";
                title { (title) " · Synfire" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    div { h1 { (title) } p { (about) } }
                    button #theme type="button" title="Light or dark" { "Light / dark" }
                }
                main { (body) }
                footer { p { "Made by Synfire " (env!("CARGO_PKG_VERSION")) "." } }
                script #data type="application/json" { (PreEscaped(data)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// A part of the page; none without content.
pub(crate) fn section(id: &str, title: &str, about: &str, content: &Markup) -> Markup {
    html! {
        @if !content.0.is_empty() {
            section id=(id) aria-labelledby={ (id) "-title" } {
                h2 id={ (id) "-title" } { (title) }
                @if !about.is_empty() { p { (about) } }
                (content)
            }
        }
    }
}

/// Figures side by side, where there is room.
pub(crate) fn figures(figures: &[Figure]) -> Markup {
    html! {
        @if !figures.is_empty() {
            div.figures { @for figure in figures { (self::figure(figure)) } }
        }
    }
}

fn figure(figure: &Figure) -> Markup {
    html! {
        figure id={ "figure-" (figure.name) } {
            h3 { (figure.title) }
            div.picture role="img" aria-label={ (figure.title) ". " (figure.caption) } {
                (PreEscaped(figure.svg(Ground::Page)))
            }
            figcaption { (figure.caption) }
            details {
                summary { "Numbers" }
                button.copy type="button" { "Copy as CSV" }
                pre tabindex="0" { (figure.csv()) }
            }
        }
    }
}

/// A table that can be scrolled where it is too wide. The first column says what a row is of.
pub(crate) fn table(name: &str, head: &[String], rows: &[Vec<String>]) -> Markup {
    let line = |cells: &[String]| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
    let csv: String =
        std::iter::once(head).chain(rows.iter().map(Vec::as_slice)).map(|row| line(row) + "\n").collect();
    html! {
        @if !rows.is_empty() {
            div.table {
                div.scroll tabindex="0" role="region" aria-label=(name) {
                    table {
                        thead { tr { @for cell in head { th scope="col" { (cell) } } } }
                        tbody { @for row in rows { tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if i == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        } } }
                    }
                }
                details {
                    summary { "As CSV" }
                    button.copy type="button" { "Copy as CSV" }
                    pre tabindex="0" { (csv) }
                }
            }
        }
    }
}

/// The numbers that matter most.
pub(crate) fn tiles(tiles: &[(&str, String, String)]) -> Markup {
    html! {
        div.tiles { @for (what, value, about) in tiles {
            div.tile { div.what { (what) } div.value { (value) } div.about { (about) } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_can_become_markup() {
        let head = ["<b>".to_string(), "n".to_string()];
        let body = table("t", &head, &[vec!["</script><script>alert(1)</script>".into(), "1".into()]]);
        let page = page("<i>", "&", &body, r#"{"name":"</script>"}"#);
        assert!(
            !page.contains("<b>") && !page.contains("alert(1)</script>") && !page.contains("<i>"),
            "{page}"
        );
        assert!(page.contains(r#"{"name":"\u003c/script>"}"#));
        // Nothing is loaded from elsewhere.
        assert!(!page.contains("src=") && !page.contains("href=") && !page.contains("url("));
    }
}
