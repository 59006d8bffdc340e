//! Pages in a real browser: that everything is there, that it can be used, and that nothing complains.

use burn::tensor::Device;
use std::path::Path;
use std::process::Command;
use synfire::compare::{Axis, Comparison, Ended, Finding, RunResult, Watcher, run};
use synfire::train::{Checkpoint, Observer, RunFolder, TrainConfig, Trainer};
use synfire_data::{Locations, open};
use synfire_report::chart::Chart;
use synfire_report::samples::Samples;
use synfire_report::{Compared, Report, Run};

struct Quiet;
impl Observer for Quiet {}
impl Watcher for Quiet {
    fn note(&self, _run: usize, _text: &str) {}
    fn working(&self, _run: usize, _share: f64, _place: &str) -> bool {
        true
    }
    fn ended(&self, _run: usize, _result: &RunResult, _before: bool) {}
}

/// The page of a short run, with mistakes in it.
fn page(config: TrainConfig) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer =
        Trainer::start(config, RunFolder::new(folder.path().join("a run")), &Device::flex()).unwrap();
    trainer.run(&mut Quiet).unwrap();
    let run = trainer.folder();
    let checkpoint = Checkpoint::read(&run.best()).unwrap();
    let mut net = checkpoint.net(&run.best(), &Device::flex()).unwrap();
    let config = checkpoint.header.config.clone();
    let data = open(&config.dataset, &Locations::new(None).unwrap()).unwrap();
    let samples = Samples::of(&mut net, &config, &data, 100, &[], &mut |_| true).unwrap();
    assert!(samples.as_ref().unwrap().mistakes > 0);
    Run {
        name: "a run".into(),
        config,
        plan: net.plan().clone(),
        classes: checkpoint.header.class_names.clone(),
        records: run.records().unwrap(),
        summary: Some(run.summary().unwrap()),
        samples,
        notes: data.notes.clone(),
    }
    .report()
}

/// Written before everything else: what goes wrong is kept.
const BEFORE: &str = r#"<head><script>
window.problems = [];
addEventListener('error', event => problems.push(event.message || 'error'));
addEventListener('unhandledrejection', event => problems.push(String(event.reason)));
addEventListener('securitypolicyviolation', event => problems.push(event.violatedDirective));
for (const name of ['error', 'warn']) console[name] = (...text) => problems.push(text.join(' '));
</script>"#;

/// Uses the page as a reader does, and writes down what was found.
const AFTER: &str = r#"<script>
const one = selector => document.querySelector(selector);
const wait = ms => new Promise(done => setTimeout(done, ms));
const inked = canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v > 0);
(async () => {
  const found = {};
  found.figures = document.querySelectorAll('figure').length;
  found.drawn = [...document.querySelectorAll('figure svg')].filter(svg => svg.getBoundingClientRect().height > 40).length;
  const names = [...document.querySelectorAll('[id]')].map(element => element.id);
  found.once = new Set(names).size === names.length;
  found.wide = document.documentElement.scrollWidth > innerWidth;
  const ground = () => getComputedStyle(document.body).backgroundColor, before = ground();
  one('#theme').click();
  found.theme = ground() !== before;
  one('figure details').open = true;
  const copy = one('figure button.copy');
  copy.click();
  await wait(300);
  found.copied = copy.textContent;
  found.csv = one('figure pre').textContent.split('\n').length;
  if (!one('#viewer')) throw found;
  const slider = one('#step'), now = () => one('#now').textContent;
  found.last = now();
  slider.value = 1;
  slider.dispatchEvent(new Event('input'));
  found.first = now();
  found.rasters = [...document.querySelectorAll('#rasters canvas')].filter(inked).length;
  one('#play').click();
  await wait(1200);
  found.played = Number(slider.value) > 1;
  const select = one('#scene');
  select.value = select.options.length - 1;
  const picture = one('#input').src;
  select.dispatchEvent(new Event('change'));
  await wait(100);
  found.scenes = select.options.length;
  found.changed = one('#input').src !== picture && one('#input').naturalWidth > 0;
  found.classes = one('#output').children.length;
  one('#shown input').click();
  found.fewer = document.querySelectorAll('#rasters canvas').length;
  select.value = 0;
  select.dispatchEvent(new Event('change'));
  found.kept = document.querySelectorAll('#rasters canvas').length;
  found.reached = ['#theme', '#scene', '#play', '#step', '#shown input', 'summary', 'button.copy'].every(s => one(s).tabIndex >= 0);
  found.named = [...document.querySelectorAll('img, [role=img]')].every(image => image.alt || image.getAttribute('aria-label'));
  found.mistakes = document.querySelectorAll('.mistakes li').length;
  found.loaded = performance.getEntriesByType('resource').filter(entry => !entry.name.startsWith('data:')).length;
  found.problems = problems;
  document.body.textContent = 'found:' + JSON.stringify(found) + ':found';
})().catch(error => {
  // Without spikes to be played the page is used up.
  const told = error instanceof Error ? String(error) : { ...error, problems };
  document.body.textContent = 'found:' + JSON.stringify(told) + ':found';
});
</script></body>"#;

/// What the browser finds on a screen of this width.
fn found(html: &str, width: u32, folder: &Path) -> serde_json::Value {
    let file = folder.join("page.html");
    let html = html.replacen("<head>", BEFORE, 1).replacen("</body>", AFTER, 1);
    std::fs::write(&file, html).unwrap();
    let output = Command::new(env!("SYNFIRE_BROWSER"))
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
            "--virtual-time-budget=20000",
        ])
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json = text.split("found:").nth(1).and_then(|rest| rest.split(":found").next());
    let json = json.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(&json.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")).unwrap()
}

#[test]
#[cfg_attr(not(chromium), ignore = "needs a browser: chromium, chromium-browser or google-chrome")]
fn the_page_of_a_run_can_be_read_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        net: "4C3-AP2-VOTE2".into(),
        epochs: 3,
        train_samples: 300,
        validation: 40,
        time_steps: 4,
        ..TrainConfig::default()
    };
    let report = page(config);
    let figures = report.figures.iter().filter(|figure| !figure.name.starts_with("spikes")).count();
    assert!(report.figures.iter().any(|figure| figure.name == "silent-voters"));
    for width in [1200, 390] {
        let found = found(&report.html, width, folder.path());
        let is = |key: &str, expected: serde_json::Value| {
            assert_eq!(found[key], expected, "{key} at {width}: {found}")
        };
        is("problems", serde_json::json!([]));
        is("figures", figures.into());
        is("drawn", figures.into());
        is("wide", false.into());
        is("loaded", 0.into());
        is("rasters", 2.into());
        is("fewer", 1.into());
        is("kept", 1.into());
        is("classes", 10.into());
        for truth in ["once", "theme", "played", "changed", "reached", "named"] {
            is(truth, true.into());
        }
        let text = |key: &str| found[key].as_str().unwrap().to_string();
        assert!(
            text("first").starts_with("step 1 of 4: ") && text("last").starts_with("step 4 of 4: "),
            "{found}"
        );
        assert!(text("copied") != "Copy as CSV" && found["csv"].as_u64().unwrap() >= 7, "{found}");
        assert!(found["mistakes"].as_u64().unwrap() > 0 && found["scenes"].as_u64().unwrap() >= 2, "{found}");
    }
}

#[test]
#[cfg_attr(not(chromium), ignore = "needs a browser: chromium, chromium-browser or google-chrome")]
fn the_page_of_a_comparison_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "net = '4C3-AP2-LI1'\nepochs = 1\ntrain-samples = 200\nvalidation = 40";
    let axis = |key: &str, values: [toml::Value; 2]| Axis { key: key.into(), values: values.into() };
    let comparison = Comparison {
        seeds: vec![0, 1],
        inference_steps: vec![1, 2],
        energy_samples: 10,
        settings: settings.parse().unwrap(),
        vary: vec![axis("method", ["stbp".into(), "ann".into()]), axis("time-steps", [2.into(), 4.into()])],
    };
    comparison.begin(folder.path()).unwrap();
    let ended = run(&comparison, folder.path(), 2, &[Device::flex()], None, &Quiet).unwrap();
    assert_eq!(ended, Ended::Finished);
    let results = comparison.results(folder.path()).unwrap();
    let records = results.iter().filter_map(RunResult::finding).map(|finding| {
        let run = RunFolder::new(Comparison::run_folder(folder.path(), &finding.name));
        (finding.name.clone(), run.records().unwrap())
    });
    let (name, records) = ("a comparison".to_string(), records.collect());
    let report = Compared { name, runs: results.len(), comparison, results, records, notes: vec![] }.report();

    // A network is stopped after the mean of its seeds' mean steps.
    let exits = report.figures.iter().find(|figure| figure.name == "exits").unwrap();
    let Chart::Lines { series, .. } = &exits.chart else { panic!("{exits:?}") };
    let findings: Vec<_> = report_findings(folder.path());
    let mean = |of: fn(&synfire::anytime::Exit) -> f64| {
        let runs = findings.iter().filter(|finding| finding.values == ["stbp", "4"]);
        runs.map(|run| of(&run.summary.test_anytime.exits[0])).sum::<f64>() / 2.0
    };
    let point = series.iter().find(|series| series.name == "stbp 4").unwrap().points[0];
    assert!((point.x - mean(|exit| exit.mean_steps)).abs() <= 1e-12);
    assert!((point.y - mean(|exit| exit.accuracy)).abs() <= 1e-12);

    for width in [1200, 390] {
        let found = found(&report.html, width, folder.path());
        let is = |key: &str, expected: serde_json::Value| {
            assert_eq!(found[key], expected, "{key} at {width}: {found}")
        };
        is("problems", serde_json::json!([]));
        is("figures", report.figures.len().into());
        is("drawn", report.figures.len().into());
        is("wide", false.into());
        is("once", true.into());
        is("theme", true.into());
    }
}

fn report_findings(folder: &Path) -> Vec<Finding> {
    let results = Comparison::read(folder).unwrap().results(folder).unwrap();
    results.iter().filter_map(RunResult::finding).cloned().collect()
}
