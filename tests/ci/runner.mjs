// SPDX-License-Identifier: MIT
//
// runner.mjs - runs the steps of a composite action as GitHub's runner does, on this machine.
//
// Done as there: `${{ }}` by GitHub's own expression library; steps in order, stopping at the first that fails; every
// `run` as a script file for `bash --noprofile --norc -e -o pipefail`; fresh GITHUB_OUTPUT, GITHUB_ENV, GITHUB_PATH and
// GITHUB_STEP_SUMMARY files for each step; RUNNER_TEMP emptied first; outputs evaluated also when a step failed.
// `uses` steps are recorded. actions/cache is played: it restores and saves folders below `cache`.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expressions, yaml } from './packages.mjs';

const { data, Evaluator, Lexer, Parser } = expressions;

function toData(value) {
  if (typeof value === 'string') return new data.StringData(value);
  return new data.Dictionary(...Object.entries(value).map(([key, v]) => ({ key, value: toData(v) })));
}

function evaluate(expression, contexts) {
  const tokens = new Lexer(expression).lex().tokens;
  const tree = new Parser(tokens, Object.keys(contexts), []).parse();
  return new Evaluator(tree, toData(contexts)).evaluate().coerceString();
}

/** text with every ${{ }} replaced by its value. */
export function interpolate(text, contexts) {
  return String(text).replace(/\$\{\{(.*?)\}\}/gs, (_, e) => evaluate(e, contexts));
}

const interpolateAll = (map, contexts) =>
  Object.fromEntries(Object.entries(map ?? {}).map(([k, v]) => [k, interpolate(v, contexts)]));

/** Reads a file of NAME=VALUE lines and NAME<<DELIMITER blocks. */
export function parseCommandFile(text) {
  const found = {};
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    if (lines[i] === '') continue;
    const block = /^([^=]+?)<<(.+)$/.exec(lines[i]);
    const pair = /^([^=]+)=(.*)$/.exec(lines[i]);
    if (block && !(pair && pair[1].length < block[1].length)) {
      const end = lines.indexOf(block[2], i + 1);
      if (end < 0) throw new Error(`no line "${block[2]}" ends ${block[1]}`);
      found[block[1]] = lines.slice(i + 1, end).join('\n');
      i = end;
    } else if (pair) {
      found[pair[1]] = pair[2];
    } else {
      throw new Error(`neither NAME=VALUE nor NAME<<DELIMITER: ${lines[i]}`);
    }
  }
  return found;
}

/** Workflow commands of a log: [{command, properties, message}], unescaped. */
export function workflowCommands(log) {
  const plain = (s) => s.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%3A', ':').replaceAll('%2C', ',')
    .replaceAll('%25', '%');
  return log.split('\n').map((line) => /^::([a-z-]+)(?: (.*?))?::(.*)$/.exec(line)).filter(Boolean)
    .map(([, command, properties, message]) => ({
      command,
      properties: Object.fromEntries((properties ?? '').split(',').filter(Boolean)
        .map((p) => [p.slice(0, p.indexOf('=')), plain(p.slice(p.indexOf('=') + 1))])),
      message: plain(message),
    }));
}

/** A repository that was checked out on a runner: workspace, temporary folder, cache. */
export class Job {
  constructor(folder, env = {}) {
    this.workspace = join(folder, 'workspace');
    this.temp = join(folder, 'temp');
    this.files = join(folder, 'commands');
    this.cache = join(folder, 'cache');
    for (const f of [this.workspace, this.files, this.cache]) mkdirSync(f, { recursive: true });
    this.env = {
      PATH: process.env.PATH, HOME: process.env.HOME ?? '/', LANG: 'C.UTF-8',
      CI: 'true', GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: this.workspace, GITHUB_REPOSITORY: 'someone/project',
      GITHUB_SERVER_URL: 'https://github.com', GITHUB_EVENT_NAME: 'pull_request', GITHUB_REF: 'refs/pull/1/merge',
      GITHUB_SHA: '0123456789012345678901234567890123456789', GITHUB_RUN_ID: '1',
      RUNNER_TEMP: this.temp, RUNNER_OS: 'Linux', RUNNER_ARCH: 'X64', ...env,
    };
  }

  /** Runs the action in `folder` (it holds action.yml) with the given inputs. */
  run(folder, inputs = {}) {
    const action = yaml.parse(readFileSync(join(folder, 'action.yml'), 'utf8'));
    const unknown = Object.keys(inputs).filter((name) => !(name in (action.inputs ?? {})));
    if (unknown.length) throw new Error(`the action has no input ${unknown}`);
    const given = Object.fromEntries(
      Object.entries(action.inputs ?? {}).map(([name, { default: value }]) => [name, inputs[name] ?? String(value ?? '')]));

    rmSync(this.temp, { recursive: true, force: true });
    mkdirSync(this.temp, { recursive: true });
    const state = { env: { ...this.env, GITHUB_ACTION_PATH: folder }, steps: {}, uses: [], log: '', summary: '', status: 0 };
    for (const [i, step] of action.runs.steps.entries()) {
      const contexts = { inputs: given, steps: state.steps };
      if (step.if) throw new Error('conditions of steps are not played');
      if (step.uses) this.#use(step, contexts, state);
      else this.#script(i, step, contexts, state);
      if (state.status !== 0) break;
    }
    if (state.status === 0) this.#saveCaches(state);
    const contexts = { inputs: given, steps: state.steps };
    state.outputs = interpolateAll(
      Object.fromEntries(Object.entries(action.outputs ?? {}).map(([k, v]) => [k, v.value])), contexts);
    state.commands = workflowCommands(state.log);
    return state;
  }

  #use(step, contexts, state) {
    const used = { uses: step.uses, with: interpolateAll(step.with, contexts), restored: false };
    if (step.uses.startsWith('actions/cache@')) {
      const kept = join(this.cache, used.with.key);
      used.restored = existsSync(kept);
      if (used.restored) cpSync(kept, used.with.path, { recursive: true });
    }
    state.uses.push(used);
  }

  #saveCaches(state) {
    for (const used of state.uses.filter((u) => u.uses.startsWith('actions/cache@') && !u.restored))
      if (existsSync(used.with.path)) cpSync(used.with.path, join(this.cache, used.with.key), { recursive: true });
  }

  #script(i, step, contexts, state) {
    if (step.shell !== 'bash') throw new Error(`step ${i} of a composite action must name its shell`);
    const file = (name) => join(this.files, `${name}-${i}`);
    const names = ['OUTPUT', 'ENV', 'PATH', 'STEP_SUMMARY'];
    for (const name of names) writeFileSync(file(name), '');
    const script = file('script');
    writeFileSync(script, interpolate(step.run, contexts));
    const env = {
      ...state.env, ...interpolateAll(step.env, contexts),
      ...Object.fromEntries(names.map((name) => [`GITHUB_${name}`, file(name)])),
    };
    const done = spawnSync('bash', ['--noprofile', '--norc', '-e', '-o', 'pipefail', script],
      { cwd: this.workspace, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
    state.log += done.stdout + done.stderr;
    state.status = done.status ?? 128;

    if (step.id) state.steps[step.id] = { outputs: parseCommandFile(readFileSync(file('OUTPUT'), 'utf8')) };
    Object.assign(state.env, parseCommandFile(readFileSync(file('ENV'), 'utf8')));
    for (const folder of readFileSync(file('PATH'), 'utf8').split('\n').filter(Boolean))
      state.env.PATH = `${folder}:${state.env.PATH}`;
    state.summary += readFileSync(file('STEP_SUMMARY'), 'utf8');
  }
}
