// The people of the provider's own directory, and whether a password is theirs.
import type { Person } from '../decision/conditions.ts';
import { checkPassword, decoyHash, type PasswordHash } from './password.ts';

export interface Account {
  readonly name: string;
  readonly groups: readonly string[];
  readonly email: string | null;
}

export function personOf({ name, groups }: Account): Person {
  return { user: name, groups };
}

export interface User extends Account {
  readonly password: PasswordHash;
}

export interface Accounts {
  find(name: string): Account | null;
  verify(name: string, password: string): Promise<Account | null>;
}

export function createAccounts(users: readonly User[]): Accounts {
  const byName = new Map(users.map((user) => [user.name, user]));
  const decoy = decoyHash(users[0]?.password);
  return {
    find: (name) => byName.get(name) ?? null,
    // An unknown name costs as much time as a known one, so that nobody can collect names.
    async verify(name, password) {
      const user = byName.get(name);
      const right = await checkPassword(password, user?.password ?? decoy);
      return right && user !== undefined ? user : null;
    },
  };
}
