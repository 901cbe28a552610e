// SPDX-License-Identifier: MIT
//
// packages.mjs - the npm packages of package.json, loaded from the build folder where `npm ci` put them.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

if (!process.env.PERFGATE_NPM) throw new Error('PERFGATE_NPM is not set; run these tests by ctest');
const modules = join(process.env.PERFGATE_NPM, 'node_modules');
const require = createRequire(join(modules, 'x'));

export const yaml = require('yaml');
export const { default: Ajv2020 } = require('ajv/dist/2020');
export const { default: Ajv } = require('ajv');
export const expressions = await import(pathToFileURL(join(modules, '@actions/expressions/dist/index.js')));
/** The validator is a program of its own: action-validator FILE. */
export const actionValidator = join(modules, '@action-validator/cli/cli.mjs');
