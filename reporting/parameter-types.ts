// The types of parameters: what people may type, and what the report gets instead. `-- parameter: NAME:TYPE HELP` declares a type. A
// parameter with the name of a type has that type.

const PARAMETER_TYPES = ['text', 'number', 'campaign', 'campaigns', 'url', 'recipient', 'timezone', 'from', 'to', 'day'] as const;

const TYPES_OF_THEIR_NAME: readonly string[] = ['campaign', 'campaigns', 'url', 'recipient', 'timezone', 'from', 'to'];

/** The type of a parameter that declares none. */
export function typeByName(name: string): string {
  if (name === 'limit') return 'number';
  return TYPES_OF_THEIR_NAME.includes(name) ? name : 'text';
}

export function isParameterType(type: string): boolean {
  return PARAMETER_TYPES.some((known) => known === type) || /^[\w-]+(?:\|[\w-]+)+$/.test(type);
}
