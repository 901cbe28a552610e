// SPDX-License-Identifier: MIT
//
// test_schemas.mjs - actions and workflows against GitHub's published schemas (SchemaStore's, shipped inside the
// validator), and our own JSON Schemas against JSON Schema itself and against example files.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'node:test';
import { actionValidator, Ajv, Ajv2020, yaml } from './packages.mjs';

const tree = resolve(new URL('.', import.meta.url).pathname, '../..');
const read = (path) => readFileSync(join(tree, path), 'utf8');
const actions = ['ci/github/action.yml', 'ci/github/setup/action.yml'];
const workflows = readdirSync(join(tree, 'ci/github/workflows')).map((name) => `ci/github/workflows/${name}`);

const validate = (path) => spawnSync(process.execPath, [actionValidator, path], { encoding: 'utf8' });

for (const path of [...actions, ...workflows])
  test(`${path} is valid`, () => {
    const done = validate(join(tree, path));
    assert.equal(done.status, 0, done.stdout + done.stderr);
  });

test('the validator refuses what GitHub would', () => {
  const folder = mkdtempSync(join(tmpdir(), 'perfgate-schemas-'));
  try {
    const broken = [
      ['action.yml', read(actions[0]).replace('using: composite', 'using: compost')],
      ['gate.yml', read('ci/github/workflows/gate.yml').replace('runs-on:', 'runs-upon:')],
    ];
    for (const [name, text] of broken) {
      writeFileSync(join(folder, name), text);
      assert.notEqual(validate(join(folder, name)).status, 0, name);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Every step of an action or a workflow. */
function steps(path) {
  const document = yaml.parse(read(path));
  return document.runs?.steps ?? Object.values(document.jobs).flatMap((job) => job.steps);
}

test('no expression is pasted into a script', () => {
  for (const path of [...actions, ...workflows])
    for (const step of steps(path)) assert.doesNotMatch(step.run ?? '', /\$\{\{/, `${path}: ${step.name}`);
});

test('actions of others are pinned to a commit', () => {
  for (const path of [...actions, ...workflows])
    for (const { uses } of steps(path).filter((s) => s.uses && !s.uses.startsWith('OWNER/')))
      assert.match(uses, /@[0-9a-f]{40}$/, path);
});

test('workflows ask for no permission that they do not name', () => {
  for (const path of workflows) assert.ok('permissions' in yaml.parse(read(path)), path);
});

test('the action has the inputs and outputs that users were promised', () => {
  const { inputs, outputs } = yaml.parse(read(actions[0]));
  assert.deepEqual(Object.keys(inputs).sort(), ['args', 'baseline', 'config', 'fail-on-warn', 'working-directory']);
  assert.deepEqual(Object.keys(outputs).sort(), ['exit-code', 'result', 'summary', 'verdict']);
});

test('results are what the schema says', () => {
  const valid = new Ajv2020({ strict: false }).compile(JSON.parse(read('ci/schema/perfgate-result-v1.schema.json')));
  const results = readdirSync(join(tree, 'tests/golden/report')).filter((name) => name.endsWith('.json'));
  assert.ok(results.length >= 9);
  for (const name of results)
    assert.ok(valid(JSON.parse(read(`tests/golden/report/${name}`))), `${name}: ${JSON.stringify(valid.errors)}`);
  const result = JSON.parse(read('tests/golden/report/fail.json'));
  result.benchmarks[0].metrics[0].verdict = 'red';
  assert.ok(!valid(result));
});
