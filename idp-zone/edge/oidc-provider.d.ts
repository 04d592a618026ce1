// The parts of oidc-provider we use, under the paths we load them from. Its entry file prints to the console when the
// running Node is not a long-term release; the files behind it do not.
declare module 'oidc-provider/lib/provider.js' {
  import Provider from 'oidc-provider';

  export { Provider };
}

declare module 'oidc-provider/lib/helpers/errors.js' {
  import { errors } from 'oidc-provider';
  export import InvalidGrant = errors.InvalidGrant;
  export import AccessDenied = errors.AccessDenied;
  export import SessionNotFound = errors.SessionNotFound;
  export import OIDCProviderError = errors.OIDCProviderError;
}

declare module 'oidc-provider/lib/helpers/interaction_policy/index.js' {
  import { interactionPolicy } from 'oidc-provider';
  export import base = interactionPolicy.base;
  export import Check = interactionPolicy.Check;
}
