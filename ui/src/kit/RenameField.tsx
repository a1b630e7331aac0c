/** A name that is changed where it stands: Enter takes the new one. */
import { t } from "@lingui/core/macro";
import { useState } from "react";
import { Field, type Limits } from "./Field";
import { Form, FormError } from "./Form";

interface Props<T extends Limits> {
  of: T;
  name: keyof T & string;
  label: string;
  value: string;
  error: unknown;
  onRename: (name: string) => void;
}

export function RenameField<T extends Limits>({ of, name, label, value, error, onRename }: Props<T>) {
  const [typed, setTyped] = useState(value);
  return (
    <Form className="row" error={error} onSubmit={() => onRename(typed)}>
      <Field bare autoFocus of={of as Limits} name={name} label={label} value={typed} onChange={setTyped} />
      <button type="submit">{t`Rename`}</button>
      <FormError />
    </Form>
  );
}
