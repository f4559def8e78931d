// The types of parameters. A type decides what users may type and which value the report gets. `-- parameter: NAME:TYPE HELP` declares a
// type. If no type is declared and the name of the parameter is the name of a type, the parameter has this type.

const PARAMETER_TYPES = ['text', 'number', 'campaign', 'campaigns', 'url', 'recipient', 'timezone', 'from', 'to', 'day'] as const;

const TYPES_OF_THEIR_NAME: readonly string[] = ['campaign', 'campaigns', 'url', 'recipient', 'timezone', 'from', 'to'];

/** Returns the type of a parameter for which no type is declared. */
export function typeByName(name: string): string {
  if (name === 'limit') return 'number';
  return TYPES_OF_THEIR_NAME.includes(name) ? name : 'text';
}

export function isParameterType(type: string): boolean {
  return PARAMETER_TYPES.some((known) => known === type) || /^[\w-]+(?:\|[\w-]+)+$/.test(type);
}
