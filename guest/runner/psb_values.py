"""Rich values both ways: the "$type" forms of docs/values.md. Loaded when first needed.

convert(value) -> (raw, plain): raw says that plain is a finished "$type" form. Methods are called
on the base classes, so that overriding them in a derived class has no effect here. A module is
looked up in sys.modules: a value of its types can only exist once it was imported.
"""

# Given: psb, run (the namespace of psb_run) and modules.
get_int_digits = run['get_int_digits']
set_int_digits = run['set_int_digits']
ResultError = psb.ResultError
ResultLimit = psb.ResultLimit
MAX_INT_BITS = 332_193  # 100,000 digits


def typed(name, value):
    return True, {'$type': name, 'value': value}


def digits_of(number):
    if number.bit_length() > MAX_INT_BITS:
        raise ResultError(f'an int of {number.bit_length()} bits is too long (100,000 digits)')
    limit = get_int_digits()
    if limit:
        set_int_digits(0)
    try:
        return int.__repr__(number)
    finally:
        if limit:
            set_int_digits(limit)


def int_of(text):
    if len(text) > 100_001:
        raise ValueError('inputs: an int of more than 100,000 digits')
    limit = get_int_digits()
    if limit:
        set_int_digits(0)
    try:
        return int(text)
    finally:
        if limit:
            set_int_digits(limit)


def convert_bytes(value):
    import binascii
    if memoryview(value).nbytes > cap():
        raise ResultLimit
    return True, {'$type': 'bytes', 'base64': binascii.b2a_base64(value, newline=False).decode()}


def cap():
    program = run['program']
    return program.cap if program else 1 << 24


def convert_dict(value, kind):
    """Subclasses by their storage; OrderedDict by its order."""
    ordered = getattr(modules.get('collections'), 'OrderedDict', None)
    if ordered is not None and issubclass(kind, ordered):
        items = [(key, dict.__getitem__(value, key)) for key in ordered.__iter__(value)]
    else:
        items = list(dict.items(value))
    plain = {}
    for key, member in items:
        if not issubclass(type(key), str):
            raise ResultError('a dict has a key that is not a str')
        key = str.__getitem__(key, slice(None))
        if key in plain:
            raise ResultError('a dict has two keys with the same text')
        plain[key] = member
    return False, plain


def delta_text(days, seconds, microseconds):
    total = (days * 86400 + seconds) * 1_000_000 + microseconds
    sign = '-' if total < 0 else ''
    whole, rest = divmod(abs(total), 1_000_000)
    return f'{sign}{whole}.{rest:06}' if rest else f'{sign}{whole}'


def convert_datetime(value, kind, datetime):
    if issubclass(kind, datetime.datetime):
        return typed('datetime', datetime.datetime.isoformat(value))
    if issubclass(kind, datetime.date):
        return typed('date', datetime.date.isoformat(value))
    if issubclass(kind, datetime.time):
        return typed('time', datetime.time.isoformat(value))
    if issubclass(kind, datetime.timedelta):
        base = datetime.timedelta
        return typed('timedelta', delta_text(base.days.__get__(value), base.seconds.__get__(value),
                                             base.microseconds.__get__(value)))
    return None


def convert_array(array, numpy):
    if array.size > cap():
        raise ResultLimit
    kind = array.dtype.kind
    if kind in 'Vc' or array.dtype.names:
        raise ResultError(f'numpy arrays of dtype {array.dtype} cannot be returned')
    data = array.astype(str).tolist() if kind in 'mM' else array.tolist()
    return True, {'$type': 'ndarray', 'dtype': str(array.dtype), 'shape': list(array.shape),
                  'data': data}


def convert_numpy(value, kind, numpy):
    if issubclass(kind, numpy.ndarray):
        return convert_array(numpy.ndarray.__getitem__(value.view(numpy.ndarray), ...), numpy)
    if not issubclass(kind, numpy.generic):
        return None
    if issubclass(kind, (numpy.datetime64, numpy.timedelta64)):
        form = 'datetime64' if issubclass(kind, numpy.datetime64) else 'timedelta64'
        return True, {'$type': form, 'value': str(value.astype('i8')) if form[0] == 't'
                      else str(value), 'unit': numpy.datetime_data(value.dtype)[0]}
    if issubclass(kind, (numpy.bool_, numpy.integer, numpy.floating)):
        plain = value.item()
        if type(plain) is int and plain >= 1 << 63:
            return typed('int', digits_of(plain))
        return False, plain if type(plain) in (bool, int, float) else float(plain)
    raise ResultError(f'values of type numpy.{kind.__name__} cannot be returned')


def column(series, pandas):
    """The members of a Series or Index as plain values, missing ones as None where not a float."""
    if series.dtype.kind == 'f':
        return series.tolist()
    return [None if item is pandas.NaT or item is pandas.NA else item for item in series.tolist()]


def frame_columns(frame):
    return [frame.iloc[:, index] for index in range(frame.shape[1])]


def convert_pandas(value, kind, pandas):
    if value is pandas.NaT or value is pandas.NA:
        return False, None
    if issubclass(kind, pandas.Timestamp):
        return typed('datetime', value.isoformat())
    if issubclass(kind, pandas.Timedelta):
        return None
    if not issubclass(kind, (pandas.DataFrame, pandas.Series, pandas.Index)):
        return None
    if value.size > cap():
        raise ResultLimit
    if issubclass(kind, pandas.DataFrame):
        columns = frame_columns(value)
        return True, {'$type': 'dataframe', 'columns': column(value.columns, pandas),
                      'index': column(value.index, pandas),
                      'dtypes': [str(each.dtype) for each in columns],
                      'data': [column(each, pandas) for each in columns]}
    if issubclass(kind, pandas.Series):
        return True, {'$type': 'series', 'name': value.name, 'dtype': str(value.dtype),
                      'index': column(value.index, pandas), 'data': column(value, pandas)}
    return False, column(value, pandas)


def convert_rich(value, kind):
    for name, function in (('pandas', convert_pandas), ('numpy', convert_numpy),
                           ('datetime', convert_datetime)):
        module = modules.get(name)
        if module is not None:
            form = function(value, kind, module)
            if form is not None:
                return form
    decimal = modules.get('decimal')
    if decimal is not None and issubclass(kind, decimal.Decimal):
        return typed('decimal', decimal.Decimal.__str__(value))
    uuid = modules.get('uuid')
    if uuid is not None and issubclass(kind, uuid.UUID):
        return typed('uuid', uuid.UUID.__str__(value))
    return None


def kind_name(kind):
    return str.__getitem__(type.__dict__['__name__'].__get__(kind), slice(0, 200))


def convert(value):
    kind = type(value)
    if issubclass(kind, int):
        return typed('int', digits_of(value))
    if issubclass(kind, dict):
        return convert_dict(value, kind)
    if issubclass(kind, (bytes, bytearray, memoryview)):
        return convert_bytes(value)
    try:
        form = convert_rich(value, kind)
    except (ResultError, ResultLimit, MemoryError):
        raise
    except BaseException as exc:
        raise ResultError(f'a value of type {kind_name(kind)!r} could not be converted: '
                          f'{kind_name(type(exc))}') from None
    if form is None:
        raise ResultError(f'values of type {kind_name(kind)!r} cannot be returned')
    return form


# --- inputs ---------------------------------------------------------------------------------


def revive_delta(text):
    import datetime
    whole, _, rest = text.partition('.')
    micros = int((rest + '000000')[:6]) * (-1 if whole.startswith('-') else 1)
    return datetime.timedelta(seconds=int(whole), microseconds=micros)


def revive_date(name, text):
    import datetime
    if name == 'datetime' and text.endswith('Z'):
        text = text[:-1] + '+00:00'
    return getattr(datetime, name).fromisoformat(text)


def revive_array(form):
    import numpy
    data = numpy.array(form['data'], dtype=form['dtype'])
    return data.reshape(form['shape']) if 'shape' in form else data


def revive_series(form):
    import pandas
    return pandas.Series(form['data'], index=form.get('index'), name=form.get('name'),
                         dtype=form.get('dtype'))


def revive_frame(form):
    import pandas
    columns = form['columns']
    series = [pandas.Series(data, index=form.get('index'), dtype=dtype)
              for data, dtype in zip(form['data'], form.get('dtypes') or [None] * len(columns))]
    frame = pandas.concat(series, axis=1) if series else pandas.DataFrame(index=form.get('index'))
    frame.columns = columns
    return frame


def revive_bytes(form):
    import binascii
    return binascii.a2b_base64(form['base64'])


def revive_decimal(form):
    import decimal
    return decimal.Decimal(form['value'])


def revive_uuid(form):
    import uuid
    return uuid.UUID(form['value'])


def revive_numpy_time(form):
    import numpy
    name = form['$type']
    value = int(form['value']) if name == 'timedelta64' else form['value']
    return getattr(numpy, name)(value, form.get('unit') or 's')


revivers = {
    'int': lambda form: int_of(form['value']),
    'float': lambda form: float(form['value']),
    'bytes': revive_bytes,
    'dict': lambda form: {key: value for key, value in form['value']},
    'datetime': lambda form: revive_date('datetime', form['value']),
    'date': lambda form: revive_date('date', form['value']),
    'time': lambda form: revive_date('time', form['value']),
    'timedelta': lambda form: revive_delta(form['value']),
    'datetime64': revive_numpy_time,
    'timedelta64': revive_numpy_time,
    'decimal': revive_decimal,
    'uuid': revive_uuid,
    'ndarray': revive_array,
    'series': revive_series,
    'dataframe': revive_frame,
}


def revive(form):
    name = form['$type']
    function = revivers.get(name) if type(name) is str else None
    if function is None:
        raise ValueError(f'inputs: unknown $type {name!r:.100}')
    try:
        return function(form)
    except MemoryError:
        raise
    except Exception as exc:
        raise ValueError(f'inputs: $type {name!r}: {kind_name(type(exc))}: {exc!s:.200}') from None
