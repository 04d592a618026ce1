// Owns how the files for devices are made: aside, once for all who ask, checked, and again when they are no longer true.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CompiledSet } from '../../../dtr-rules/compile.ts';
import { makeProfile } from '../../../dtr-rules/profiles/kinds.ts';
import { createOwnFiles, type MadeFile } from '../../../gateway/edge/own-files.ts';
import { makeInThread } from '../../../gateway/edge/own-files-maker.ts';
import { runPac } from '../../../gateway/edge/run-pac.ts';
import { facts } from '../../dtr-rules/profiles/facts.ts';
import { ruleSet } from '../../dtr-rules/rule-file.ts';

const dayMs = 86_400_000;
const { gateway } = facts;
const set = ruleSet('BLOCK 10.0.0.0/8', 'TUNNEL .a.test:443,*b*', 'BYPASS *');

/** Files that are made when the test says so. */
function inHand() {
  const asked: { readonly kind: string; readonly done: PromiseWithResolvers<MadeFile> }[] = [];
  const files = createOwnFiles(gateway, 'closed', ({ kind }) => {
    const done = Promise.withResolvers<MadeFile>();
    asked.push({ kind, done });
    return done.promise;
  });
  const finish = async (text: string, changesAt: number | null = null) => {
    await nextTurn();
    asked.at(-1)?.done.resolve({ text, changesAt });
    await nextTurn();
  };
  return { files, asked, finish };
}

test('what is served is what `zonegate profile` makes', async () => {
  const input = { app: null, now: 0, facts, runPac };
  for (const kind of ['pac', 'pvd'] as const) {
    const [file] = makeProfile(kind, set, input).files;
    const served = await createOwnFiles(gateway, 'closed')[kind](set, 0);
    assert.equal(served.content.toString(), file?.content);
    assert.equal(served.contentType, file?.contentType);
  }
});

test('while a file of many rules is made the process goes on with other things', async () => {
  const many = ruleSet(...Array.from({ length: 1000 }, (_, i) => `TUNNEL host${i}.test`));
  let turns = 0;
  let isMade = false;
  const count = () => {
    turns += 1;
    if (!isMade) setImmediate(count);
  };
  setImmediate(count);
  await makeInThread({ kind: 'pac', set: many.set, gateway, failMode: 'closed', now: 0 });
  isMade = true;
  // Were it made here, there would be none but between the pieces in which the rules are handed over.
  assert.ok(turns > 20, `${turns} turns`);
});

test('a file that would not do what the rules say is not served', async () => {
  // A pattern without a star is in no rule file: the rules take it for a name, and the PAC file for nothing.
  const [rule] = ruleSet('TUNNEL a.test').set.rules;
  assert.ok(rule !== undefined);
  const broken = { kind: 'pattern', pattern: 'a.test', ports: null, text: 'a.test' } as const;
  const wrong = { ...set.set, rules: [{ ...rule, destinations: [broken] }] };
  const request = { set: wrong, gateway, failMode: 'closed', now: 0 } as const;
  const differs = /would not do what the rules say: `a\.test:1` goes direct, expected gateway/;
  await assert.rejects(makeInThread({ ...request, kind: 'pac' }), differs);
});

test('all who ask while a file is made get that one, of each rule set and kind', async () => {
  const { files, asked, finish } = inHand();
  const first = files.pac(set, 0);
  assert.equal(files.pac(set, 1), first);
  const pvd = files.pvd(set, 1);
  const other: CompiledSet = { ...set };
  const last = files.pac(other, 1);
  await finish('one');
  await finish('two');
  await finish('three');
  const texts = (await Promise.all([first, pvd, last])).map(({ content }) => content.toString());
  assert.deepEqual(texts, ['one', 'two', 'three']);
  assert.deepEqual(
    asked.map(({ kind }) => kind),
    ['pac', 'pvd', 'pac'],
  );
  assert.equal(files.pac(set, dayMs - 1), first);
});

test('a file is made again when a rule begins or ends, and each day', async () => {
  const { files, asked, finish } = inHand();
  for (const [at, changesAt, again] of [
    [0, 5000, 5000],
    [5000, null, dayMs],
    [dayMs, null, 2 * dayMs],
  ] as const) {
    const made = files.pac(set, at);
    await finish(`at ${at}`, changesAt);
    assert.equal((await made).content.toString(), `at ${at}`);
    assert.equal(files.pac(set, again - 1), made);
  }
  assert.equal(asked.length, 3);
});

test('what could not be made is tried again after a minute, not for everybody who asks', async () => {
  const { files, asked } = inHand();
  const failed = files.pac(set, 0);
  const another = files.pvd(set, 0);
  await nextTurn();
  asked[0]?.done.reject(new Error('a fault'));
  await assert.rejects(failed, /a fault/);
  assert.equal(files.pac(set, 59_999), failed);
  // And the next in turn is made all the same.
  await nextTurn();
  asked[1]?.done.resolve({ text: 'pvd', changesAt: null });
  assert.equal((await another).content.toString(), 'pvd');
  assert.notEqual(files.pac(set, 60_000), failed);
});
