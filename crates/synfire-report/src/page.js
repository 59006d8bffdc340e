(() => {
  'use strict';

  for (const button of document.querySelectorAll('button.copy')) {
    button.addEventListener('click', async () => {
      const text = button.parentElement.querySelector('pre');
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = 'Copied';
      } catch {
        // Where a page may not write to the clipboard, the text is selected for the reader to copy.
        getSelection().selectAllChildren(text);
        button.textContent = document.execCommand('copy') ? 'Copied' : 'Selected: copy it';
      }
      setTimeout(() => { button.textContent = 'Copy as CSV'; }, 2000);
    });
  }

  const root = document.documentElement;
  const dark = () => (root.style.colorScheme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  document.getElementById('theme').addEventListener('click', () => {
    root.style.colorScheme = dark() ? 'light' : 'dark';
    dispatchEvent(new Event('resize'));
  });

  const viewer = document.getElementById('viewer');
  if (!viewer) return;
  const { scenes, classes } = JSON.parse(document.getElementById('data').textContent);
  const part = id => document.getElementById(id);
  const [select, slider, play, boxes, stage] = ['scene', 'step', 'play', 'shown', 'rasters'].map(part);
  let scene, timer;

  // The layers that are ticked; those of every scene are the same.
  const ticks = scenes[0].layers.map(({ name }) => {
    const label = document.createElement('label'), box = document.createElement('input');
    Object.assign(box, { type: 'checkbox', checked: true });
    box.addEventListener('change', lay);
    label.append(box, ` ${name}`);
    boxes.append(label);
    return box;
  });
  const shown = () => scene.layers.filter((_, i) => ticks[i].checked);

  // A canvas for each layer: time to the right, neurons downwards, the present step marked.
  function draw() {
    const now = Number(slider.value) - 1;
    const [ink, line, accent] = ['--ink', '--line', '--accent'].map(name => {
      // The canvas knows no light-dark(): an element's colour is resolved.
      const probe = part('probe');
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    });
    const steps = scene.certainties.length;
    stage.querySelectorAll('canvas').forEach((canvas, i) => {
      const { neurons, fired } = shown()[i];
      const ratio = devicePixelRatio || 1;
      const width = canvas.clientWidth, height = Math.max(48, Math.min(neurons * 1.5, 140));
      canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = `${height}px`;
      const pen = canvas.getContext('2d');
      pen.scale(ratio, ratio);
      const [w, h] = [width / steps, height / neurons];
      pen.fillStyle = line;
      pen.globalAlpha = .5;
      pen.fillRect(now * w, 0, w, height);
      pen.globalAlpha = 1;
      for (let place = 0; place < fired.length; place++) {
        if (fired[place] !== '1') continue;
        const step = Math.floor(place / neurons);
        pen.fillStyle = step === now ? accent : ink;
        pen.globalAlpha = step > now ? .18 : 1;
        pen.fillRect(step * w + .15 * w, place % neurons * h, .7 * w, Math.max(h, 1));
      }
      pen.globalAlpha = 1;
      pen.strokeStyle = line;
      pen.strokeRect(.5, .5, width - 1, height - 1);
    });
    part('input').src = scene.pictures[Math.min(now, scene.pictures.length - 1)];
    const output = scene.output[now], low = Math.min(0, ...output), high = Math.max(...output, low + 1e-9);
    // Of many classes those that got most, and the right one.
    const order = output.map((_, i) => i).sort((a, b) => output[b] - output[a]);
    const listed = output.length <= 12 ? output.map((_, i) => i) : [...new Set([...order.slice(0, 11), scene.label])];
    part('output').replaceChildren(...listed.map(i => {
      const value = output[i];
      const row = document.createElement('div'), name = document.createElement('span');
      const bar = document.createElement('span'), fill = document.createElement('i');
      name.textContent = classes[i] + (i === scene.label ? ' ✓' : '');
      bar.className = 'bar';
      fill.style.width = `${100 * (value - low) / (high - low)}%`;
      bar.append(fill);
      row.append(name, bar);
      return row;
    }));
    const answer = output.indexOf(Math.max(...output));
    part('now').textContent = `step ${now + 1} of ${steps}: ${classes[answer]}, certain to ${(100 * scene.certainties[now]).toFixed(1)} %`;
    slider.setAttribute('aria-valuetext', part('now').textContent);
  }

  function show() {
    scene = scenes[Number(select.value)];
    slider.max = scene.certainties.length;
    slider.value = slider.max;
    lay();
  }

  function lay() {
    stage.replaceChildren(...shown().flatMap(layer => {
      const title = document.createElement('div'), canvas = document.createElement('canvas');
      title.className = 'about';
      title.textContent = `${layer.name}, ${layer.neurons} neurons shown`;
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', `Spikes of ${layer.name}`);
      return [title, canvas];
    }));
    draw();
  }

  function stop() {
    clearInterval(timer);
    timer = undefined;
    play.textContent = 'Play';
  }

  play.addEventListener('click', () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 1;
    draw();
    play.textContent = 'Pause';
    timer = setInterval(() => {
      if (slider.value === slider.max) return stop();
      slider.value = Number(slider.value) + 1;
      draw();
    }, 350);
  });
  slider.addEventListener('input', () => { stop(); draw(); });
  select.addEventListener('change', () => { stop(); show(); });
  addEventListener('resize', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  show();
})();
