// SPDX-License-Identifier: MIT
//
// test_action.mjs - the gate's action from first step to last, with a real build: green, red, warning, broken, hostile.
//
// Expected figures are by construction: the target allocates as many blocks as its argument says (work.c).
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'node:test';
import { Job } from './runner.mjs';

const tree = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..');
const gate = join(tree, 'ci/github');
const work = process.env.PERFGATE_CI_WORK;
assert.ok(work && existsSync(work), 'PERFGATE_CI_WORK names the target program');

const folder = mkdtempSync(join(tmpdir(), 'perfgate action '));  // a blank in every path
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const job = new Job(folder);

/** A configuration with one benchmark that allocates `blocks` blocks and exits with `exit`. */
function config({ blocks = 1000, exit = 0, limit = { max_increase: '1%' } } = {}) {
  return JSON.stringify({
    benchmarks: [{
      name: 'work', command: ['./work', String(blocks), String(exit)], runs: 2, warmup: 0, metrics: ['allocations'],
    }],
    thresholds: { allocations: limit },
  });
}

/** Lays a fresh workspace with a project whose baseline has 1000 allocations. */
function project(head, where = job.workspace) {
  rmSync(job.workspace, { recursive: true, force: true });
  mkdirSync(where, { recursive: true });
  cpSync(work, join(where, 'work'));
  if (project.baseline) writeFileSync(join(where, 'main.json'), project.baseline);
  writeFileSync(join(where, 'perfgate.json'), head);
}

const result = (state) => JSON.parse(readFileSync(state.outputs.result, 'utf8'));
const annotations = (state) => state.commands.filter((c) => ['error', 'warning'].includes(c.command));
const allocations = (state) => result(state).benchmarks[0].metrics.find((m) => m.metric === 'allocations');

/** Files below the job's folders whose name holds "pwned". */
function pwned(where = folder) {
  return readdirSync(where, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? pwned(join(where, e.name)) : e.name.includes('pwned') ? [join(where, e.name)] : []);
}

test('a first run without a baseline builds perfgate, measures, and is not green', () => {
  project(config());
  const state = job.run(gate);
  assert.equal(state.status, 4, state.log);
  assert.equal(state.outputs['exit-code'], '4');
  assert.notEqual(state.outputs.verdict, 'pass');
  assert.deepEqual(state.uses.map((u) => u.restored), [false]);
});

test('the baseline is written through args, which are split into words', () => {
  project(config());
  const state = job.run(gate, { baseline: '', args: "--allow-missing-baseline\n  --save-baseline 'main.json'" });
  const baseline = join(job.workspace, 'main.json');
  assert.ok(existsSync(baseline), state.log);
  project.baseline = readFileSync(baseline);
});

test('an unchanged program is green, and the build comes from the cache', () => {
  project(config());
  const state = job.run(gate);
  assert.equal(state.status, 0, state.log);
  assert.deepEqual([state.outputs.verdict, state.outputs['exit-code']], ['pass', '0']);
  assert.equal(state.outputs.result, join(job.workspace, 'perfgate-out/result.json'));
  assert.equal(state.outputs.summary, join(job.workspace, 'perfgate-out/summary.md'));
  assert.equal(allocations(state).current, 1000);
  assert.deepEqual(annotations(state), []);
  assert.ok(state.summary.length > 0, 'a pass is visible in the step summary too');
  assert.equal(state.uses[0].restored, true);
});

test('a regression is red with status 2, an annotation and the summary', () => {
  project(config({ blocks: 1100 }));
  const state = job.run(gate);
  assert.equal(state.status, 2, state.log);
  assert.deepEqual([state.outputs.verdict, state.outputs['exit-code']], ['fail', '2']);
  assert.deepEqual([allocations(state).baseline, allocations(state).current], [1000, 1100]);
  assert.ok(annotations(state).some((a) => a.command === 'error' && a.properties.title === 'work: allocations' && /1,000 -> 1,100/.test(a.message)), state.log);
  assert.match(state.summary, /allocations/);
  assert.equal(state.summary.trim(), readFileSync(state.outputs.summary, 'utf8').trim());
});

test('a warning passes, and fails with fail-on-warn', () => {
  project(config({ blocks: 1100, limit: { max_increase: '1%', action: 'warn' } }));
  const mild = job.run(gate);
  assert.deepEqual([mild.status, mild.outputs.verdict, mild.outputs['exit-code']], [0, 'warn', '0'], mild.log);
  assert.ok(annotations(mild).some((a) => a.command === 'warning'), mild.log);
  const strict = job.run(gate, { 'fail-on-warn': 'true' });
  assert.deepEqual([strict.status, strict.outputs.verdict, strict.outputs['exit-code']], [3, 'warn', '3'], strict.log);
});

test('a broken configuration is status 1, and an older result is not taken for its own', () => {
  project('{ "benchmarks": [');
  mkdirSync(join(job.workspace, 'perfgate-out'));
  writeFileSync(join(job.workspace, 'perfgate-out/result.json'), '{"verdict": "pass", "exit_code": 0}');
  const state = job.run(gate);
  assert.equal(state.status, 1, state.log);
  assert.deepEqual(state.outputs, { verdict: 'error', 'exit-code': '1', result: '', summary: '' });
  assert.match(state.log, /perfgate\.json:1:/);
});

test('a target that fails is status 5', () => {
  project(config({ exit: 3 }));
  const state = job.run(gate);
  assert.equal(state.status, 5, state.log);
  assert.deepEqual([state.outputs.verdict, state.outputs['exit-code']], ['error', '5']);
});

test('working-directory, config, baseline and --output are taken as they are written', () => {
  const inner = join(job.workspace, 'sub folder');
  project(config(), inner);
  cpSync(join(inner, 'perfgate.json'), join(inner, "it's.json"));
  cpSync(join(inner, 'main.json'), join(inner, 'base line.json'));
  const state = job.run(gate, {
    'working-directory': 'sub folder', config: "it's.json", baseline: 'base line.json', args: '--output "out put"',
  });
  assert.equal(state.status, 0, state.log);
  assert.equal(state.outputs.result, join(inner, 'out put/result.json'));
});

const hostile = '"; touch pwned; $(touch pwned) `touch pwned` ${IFS}\' && touch pwned #\nverdict=pass\n::notice::pwned';
for (const name of ['config', 'baseline', 'args', 'working-directory', 'fail-on-warn']) {
  test(`input ${name} is never run as a command, and sets no output`, () => {
    project(config());
    const state = job.run(gate, { [name]: hostile });
    assert.ok([1, 4].includes(state.status), `status ${state.status}: ${state.log}`);
    assert.equal(state.outputs['exit-code'], String(state.status));
    assert.notEqual(state.outputs.verdict, 'pass');
    assert.deepEqual(pwned(), []);
  });
}

test('balanced hostile args are words for perfgate, not for a shell', () => {
  project(config());
  const state = job.run(gate, { args: '; touch pwned $(touch pwned) `touch pwned` | touch pwned > pwned *' });
  assert.equal(state.status, 1, state.log);
  assert.deepEqual(pwned(), []);
});

test('args with an open quote are refused with a message', () => {
  project(config());
  const state = job.run(gate, { args: '--filter "work' });
  assert.deepEqual(state.outputs, { verdict: 'error', 'exit-code': '1', result: '', summary: '' });
  assert.ok(annotations(state).some((a) => /quote/.test(a.message)), state.log);
});

test('the setup action puts perfgate on the path of later steps', () => {
  project(config());
  const state = job.run(join(gate, 'setup'));
  assert.equal(state.status, 0, state.log);
  assert.equal(state.env.PATH.split(':')[0], join(job.temp, 'perfgate/bin'));
  assert.ok(existsSync(join(job.temp, 'perfgate/bin/perfgate')));
});
