// `zonegate hash-password`: a password from standard input → the hash that `idp.users` wants.

import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { hashPassword } from '../idp-zone/edge/password.ts';
import { print, say, UsageError } from './output.ts';

export function addHashPassword(program: Command): void {
  program
    .command('hash-password')
    .description('hash a password, read from standard input, for idp.users')
    .addHelpText('before', 'Example: zonegate hash-password < password.txt\n')
    .action(async () => {
      if (process.stdin.isTTY)
        say('type the password, then Enter and Ctrl-D (it is shown as you type)');
      const password = (await text(process.stdin)).replace(/\r?\n$/, '');
      if (password === '') throw new UsageError('expected a password on standard input');
      print(await hashPassword(password));
    });
}
