// The steps a person takes between the application's request and its answer: the password, or learning why not.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { InteractionResults } from 'oidc-provider';
import { SessionNotFound } from 'oidc-provider/lib/helpers/errors.js';
import type { Provider } from 'oidc-provider/lib/provider.js';
import { type Reason, reasons } from '../decision/reasons.ts';
import { type Accounts, personOf } from './accounts.ts';
import { sendPage } from './answer.ts';
import type { Attempts } from './attempts.ts';
import { describeDenial } from './denial.ts';
import { readForm } from './form.ts';
import type { Gate, Judged } from './gate.ts';
import { deniedPage, loginPage } from './pages.ts';
import { POLICY_CHECK } from './provider.ts';
import type { ReadFacts } from './request-facts.ts';
import type { Telemetry } from './telemetry.ts';

export interface InteractionOptions {
  readonly provider: Provider;
  readonly accounts: Accounts;
  readonly attempts: Attempts;
  readonly gate: Gate;
  readonly facts: ReadFacts;
  readonly telemetry: Telemetry;
  readonly clientName: (id: string) => string;
}

export type Interactions = (
  request: IncomingMessage,
  response: ServerResponse,
  uid: string,
) => Promise<void>;

interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly client: string;
  readonly url: string;
  readonly reasons: readonly string[];
  readonly accountId: string | null; // signed in already
}

export function createInteractions(options: InteractionOptions): Interactions {
  const { provider, accounts, attempts, gate, facts, telemetry, clientName } = options;

  async function show(visit: Visit): Promise<void> {
    const isDenied = visit.reasons.includes(POLICY_CHECK);
    const account = isDenied ? accounts.find(visit.accountId ?? '') : null;
    if (account === null) return await showLogin(visit, { user: '', reason: null });
    // Asked again, so that "try again" works once the tunnel is up.
    const judged = gate(visit.request, personOf(account), visit.client);
    if (judged.decision.action === 'deny') return await showDenied(visit, judged);
    if (visit.reasons.length === 1) return await finish(visit, {});
    return await showLogin(visit, { user: account.name, reason: null });
  }

  async function submit(visit: Visit): Promise<void> {
    const { request, response, client } = visit;
    const form = await readForm(request);
    const [user, password] = [form?.get('user') ?? '', form?.get('password') ?? ''];
    const from = facts(request);
    const deny = async (reason: Reason) => {
      telemetry.attempt('authorization', { from, user: user.slice(0, 256), client, reason });
      await showLogin(visit, { user, reason });
    };
    if (!attempts.take(user, from.client)) {
      response.setHeader('retry-after', '60');
      return await deny('sign-on.too_many_attempts');
    }
    const account = await accounts.verify(user, password);
    if (account === null) return await deny('sign-on.credentials');
    attempts.giveBack(user, from.client);
    const judged = gate(request, personOf(account), client);
    judged.record('authorization');
    if (judged.decision.action === 'deny') return await showDenied(visit, judged);
    return await finish(visit, {
      login: { accountId: account.name, amr: ['pwd'], remember: false },
    });
  }

  async function showLogin(
    visit: Visit,
    { user, reason }: { readonly user: string; readonly reason: Reason | null },
  ): Promise<void> {
    const backUrl = await answerFor(visit, 'sign-in was not completed');
    const content = loginPage({
      client: clientName(visit.client),
      action: visit.url,
      backUrl,
      user,
      trouble: reason === null ? null : reasons[reason].sentence,
    });
    sendPage(visit.response, reason === null ? 200 : reasons[reason].status, content);
  }

  async function showDenied(visit: Visit, { decision, from }: Judged): Promise<void> {
    if (decision.action === 'allow') throw new Error('nothing is denied');
    const { reason, message, help } = decision;
    const backUrl = await answerFor(visit, describeDenial(decision, from.id));
    const content = deniedPage({
      client: clientName(visit.client),
      message,
      help,
      reason,
      id: from.id,
      address: from.client?.text ?? null,
      retryUrl: visit.url,
      backUrl,
    });
    sendPage(visit.response, reasons[reason].status, content);
  }

  // Until somebody signs in the answer on record is a no: whoever goes back takes it to the application, which is
  // never left waiting. Returns the address to go back to.
  async function answerFor({ request, response }: Visit, description: string): Promise<string> {
    const result = { error: 'access_denied', error_description: description };
    return await provider.interactionResult(request, response, result);
  }

  async function finish({ request, response }: Visit, result: InteractionResults): Promise<void> {
    await provider.interactionFinished(request, response, result);
  }

  return async (request, response, uid) => {
    const interaction = await provider.interactionDetails(request, response);
    const { prompt, params, session } = interaction;
    if (interaction.uid !== uid) throw new SessionNotFound('the cookie is of another sign-in');
    const visit: Visit = {
      request,
      response,
      client: String(params['client_id']),
      url: `/interaction/${uid}`,
      reasons: prompt.reasons,
      accountId: session?.accountId ?? null,
    };
    if (prompt.name === 'consent') await finish(visit, { consent: {} });
    else if (request.method === 'POST') await submit(visit);
    else await show(visit);
  };
}
